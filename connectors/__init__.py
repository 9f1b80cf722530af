"""Other people's tools and formats: Label Studio, video files, export formats, rendered clips.

Vendor conversions (percents, run lengths, colour orders) live here and nowhere else. It may import `workspace` only.
"""
