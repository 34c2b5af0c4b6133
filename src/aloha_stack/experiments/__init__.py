"""Experiments as commands: resumable, each with a report (Markdown, plots, raw counts)."""
