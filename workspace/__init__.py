"""The shared nouns and facts: data types, configuration, files, the event log, errors.

Everything that the other folders speak about is defined here once: `Video`, `Sample`, `Mask`, `Label`, the frozen
configuration sections, the paths of a workspace, atomic file writes, and the database of facts with its leases. It may
import nothing of ours.
"""
