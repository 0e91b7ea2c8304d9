"""Makes the Parquet files beside it, with pyarrow: one compression each."""

import pathlib

import pyarrow
import pyarrow.parquet

rows = pyarrow.table({
    "text": ["netstat -ano", "dir C:\\Users", "net user & netstat"],
    "label": ["T1049", "Benign", "T1087.001"],
    "labels": [["T1049"], ["Benign"], ["T1087.001", "T1049"]],
    "hard": [False, True, False],
    "unknown": [1, 2, 3],
})
for name in ["snappy", "zstd", "gzip", "lz4", "none"]:
    pyarrow.parquet.write_table(rows, pathlib.Path(__file__).parent / f"rows-{name}.parquet", compression=name)
