"""The Parquet files of a LeRobotDataset v3.0: rows, episodes and tasks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from aloha_stack.episodes.lerobot_layout import (
    DATA_MB,
    EPISODES_PATH,
    TASKS_PATH,
    features,
    next_place,
)
from aloha_stack.episodes.steps import Form

EPISODES_AT_ONCE = 50
"""Rows of meta/episodes that are written together: one by one they would be ten times as large."""


class RollingParquet:
    """Tables one after the other, in a new file whenever one has reached DATA_MB."""

    def __init__(self, root: Path, pattern: str) -> None:
        self._root, self._pattern = root, pattern
        self._place = (0, 0)
        self._path: Path | None = None
        self._writer: pq.ParquetWriter | None = None

    def place(self) -> tuple[int, int]:
        """(chunk, file) that the next table goes to."""
        if self._path is not None and self._path.stat().st_size >= DATA_MB << 20:
            self.close()
            self._place = next_place(self._place)
        return self._place

    def write(self, table: pa.Table) -> None:
        """Adds a table as a row group. Raises OSError."""
        chunk, file = self.place()
        if self._writer is None:
            name = self._pattern.format(chunk_index=chunk, file_index=file)
            self._path = self._root / name
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="snappy")
        self._writer.write_table(table)

    def close(self) -> None:
        """Gives the file its footer."""
        if self._writer is not None:
            self._writer.close()
        self._writer = self._path = None


class EpisodeTable:
    """meta/episodes: a row for each episode."""

    def __init__(self, root: Path) -> None:
        self._files = RollingParquet(root, EPISODES_PATH)
        self._rows: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any]) -> None:
        """Takes a row, its place apart. Raises OSError."""
        self._rows.append(row)
        if len(self._rows) >= EPISODES_AT_ONCE:
            self._write()

    def close(self) -> None:
        """Writes what waits. Raises OSError."""
        self._write()
        self._files.close()

    def _write(self) -> None:
        if not self._rows:
            return
        chunk, file = self._files.place()
        place = {"meta/episodes/chunk_index": chunk, "meta/episodes/file_index": file}
        self._files.write(pa.Table.from_pylist([{**row, **place} for row in self._rows]))
        self._rows = []


def rows_schema(form: Form) -> pa.Schema:
    """Of the data files: every feature but the videos."""
    fields = []
    for name, feature in features(form).items():
        if feature["dtype"] == "video":
            continue
        kind = pa.from_numpy_dtype(np.dtype(feature["dtype"]))
        length = feature["shape"][0]
        fields.append(pa.field(name, kind if length == 1 else pa.list_(kind, length)))
    return pa.schema(fields)


def rows_table(schema: pa.Schema, columns: dict[str, np.ndarray]) -> pa.Table:
    """Columns (T, k) as a table of `schema`."""
    arrays = []
    for field in schema:
        values = columns[field.name]
        flat = pa.array(np.ascontiguousarray(values).ravel(), field_type(field))
        if pa.types.is_fixed_size_list(field.type):
            flat = pa.FixedSizeListArray.from_arrays(flat, field.type.list_size)
        arrays.append(flat)
    return pa.Table.from_arrays(arrays, schema=schema)


def field_type(field: pa.Field) -> pa.DataType:
    """Of one number."""
    fixed = pa.types.is_fixed_size_list(field.type)
    return field.type.value_type if fixed else field.type


def write_tasks(root: Path, tasks: list[str]) -> None:
    """meta/tasks.parquet as pandas writes a frame that has the tasks as its index. Raises OSError.

    The schema's metadata is pandas' own (pandas.pydata.org, developer documentation); without it
    the tasks would be read as a column.
    """
    index = "__index_level_0__"
    about = {
        "index_columns": [index],
        "column_indexes": [
            {
                "name": None,
                "field_name": None,
                "pandas_type": "unicode",
                "numpy_type": "object",
                "metadata": {"encoding": "UTF-8"},
            }
        ],
        "columns": [
            _pandas_column("task_index", "task_index", "int64", "int64"),
            _pandas_column(None, index, "unicode", "object"),
        ],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), index: tasks})
    path = root / TASKS_PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({"pandas": json.dumps(about)}), path)


def _pandas_column(name: str | None, field: str, pandas: str, numpy: str) -> dict[str, Any]:
    return {
        "name": name,
        "field_name": field,
        "pandas_type": pandas,
        "numpy_type": numpy,
        "metadata": None,
    }
