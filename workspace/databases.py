"""Where the facts lie: SQLite in the workspace, or PostgreSQL where workers sit on several machines.

Both give the same promises: all or nothing, one writer of events at a time (so ids grow in the order in which events
become visible), and a log that nobody can change.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError

from workspace.errors import UserError

_SCHEMA = re.compile(r"[a-z][a-z0-9_]{0,50}")


def sqlite_engine(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def postgres_engine(address: str, schema: str) -> Engine:
    """address: postgresql://user@host:port/database, without a password: libpq reads PGPASSWORD or ~/.pgpass.

    schema: where the tables of this project lie. UserError for an address that is none, or holds a password.
    """
    try:
        url = make_url(address)
    except ArgumentError:
        raise UserError("facts.database is no address of a database.", _ADDRESS_HINT) from None
    if url.get_backend_name() != "postgresql":
        raise UserError(f"facts.database begins with {url.drivername}:, which is not supported.", _ADDRESS_HINT)
    if url.password is not None:
        raise UserError("facts.database holds a password, which settings must not.", "Use PGPASSWORD or ~/.pgpass.")
    if not _SCHEMA.fullmatch(schema):
        raise UserError(f"facts.schema {schema!r} is no name.", "Lower case letters, digits and _, a letter first.")
    try:
        return create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args={"options": f"-csearch_path={schema}", "connect_timeout": 10},
            pool_pre_ping=True,  # a server that was restarted in between
            pool_size=2,
        )
    except ModuleNotFoundError:
        raise UserError(
            "facts.database needs psycopg, which is not installed.", "Run `pip install 'fewclicks[postgres]'`."
        ) from None


def schema_of(project: str) -> str:
    """The schema of a project that names none, from its title."""
    return f"fewclicks_{re.sub(r'[^a-z0-9]+', '_', project.lower()).strip('_')}"[:51]


def is_postgres(connection: Connection | Engine) -> bool:
    return connection.dialect.name == "postgresql"


def make_schema(engine: Engine, schema: str, make: bool = True) -> None:
    """UserError without `make`, if there is none."""
    with engine.begin() as connection:
        there = connection.execute(text("SELECT 1 FROM pg_namespace WHERE nspname = :s"), {"s": schema}).first()
        if there is None and not make:
            raise UserError(f"The database holds no project {schema!r}.", "`fewclicks share DIR` prints its name.")
        if there is None:
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:s))"), {"s": schema})
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))  # a name, checked above


def one_writer(connection: Connection) -> None:
    """Until the transaction ends nobody else writes events. SQLite does so by itself."""
    if is_postgres(connection):
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(current_schema()))"))


def now_s(connection: Connection) -> float:
    """Seconds since the epoch, by the one clock that all who share the database see."""
    if is_postgres(connection):
        return float(connection.execute(text("SELECT EXTRACT(EPOCH FROM clock_timestamp())::float8")).scalar_one())
    return time.time()


_ADDRESS_HINT = "Write it as postgresql://user@host:5432/database."


def _prepare_connection(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # SQLAlchemy's "begin" event opens transactions, not the driver's guess
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "busy_timeout = 30000"):
        connection.execute(f"PRAGMA {pragma}")
