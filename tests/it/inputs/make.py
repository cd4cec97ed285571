#!/usr/bin/env python3
"""Makes the binary files of this folder and of ../broken anew.

    pip install numpy scipy pandas pyarrow polars
    python tests/it/inputs/make.py

Made with the versions that VERSIONS prints; other versions may write other bytes.
"""

import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp

HERE = Path(__file__).parent
BROKEN = HERE.parent / "broken"

# 7 users x 5 items, 16 ratings that half precision holds, one of them 0; user 4 and item 2 have none.
CELLS = [
    (0, 0, 4), (0, 3, 2.5), (1, 1, 5), (1, 4, 1), (2, 0, 3), (2, 1, 3.5), (2, 3, 0), (2, 4, 4.5),
    (3, 4, 2), (5, 0, 1.5), (5, 1, 0.5), (5, 3, 5), (6, 0, 3), (6, 1, 4), (6, 3, 1), (6, 4, 2),
]  # fmt: skip
WHOLE = [(u, i, int(r)) for u, i, r in CELLS]
SHAPE = (7, 5)


def folder(*parts):
    path = Path(*parts)
    path.mkdir(parents=True, exist_ok=True)
    return path


def csv(path, rows, header="user,item,rating"):
    path.write_text(header + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows))


def dense(cells):
    matrix = np.full(SHAPE, np.nan)
    for user, item, rating in cells:
        matrix[user, item] = rating
    return matrix


def npy():
    to = folder(HERE, "npy")
    csv(to / "float.csv", CELLS)
    for dtype in ("<f2", "<f4", "<f8", ">f2", ">f4", ">f8"):
        for order in "CF":
            name = dtype.replace("<", "le_").replace(">", "be_")
            np.save(to / f"float_{name}_{order}.npy", np.asarray(dense(CELLS), dtype, order=order))
    # Whole numbers have no NaN: every cell is a rating.
    full = np.arange(35).reshape(SHAPE) % 6
    csv(to / "whole.csv", [(u, i, full[u, i]) for u in range(7) for i in range(5)])
    for dtype in ("i1", "u1", "<i2", ">i2", "<u2", "<i4", ">i4", "<u4", "<i8", ">i8", "<u8"):
        name = dtype.replace("<", "le_").replace(">", "be_")
        np.save(to / f"whole_{name}.npy", full.astype(dtype))
    np.save(to / "whole_le_i4_F.npy", np.asfortranarray(full.astype("<i4")))
    with open(to / "whole_version_2.npy", "wb") as file:
        np.lib.format.write_array(file, full.astype("<i4"), version=(2, 0))


def coo(cells=CELLS, dtype=float):
    users, items, ratings = zip(*cells)
    return sp.coo_matrix((np.array(ratings, dtype), (users, items)), SHAPE)


def npz():
    to = folder(HERE, "npz")
    csv(to / "float.csv", CELLS)
    csv(to / "whole.csv", WHOLE)
    for format in ("csr", "csc", "coo"):
        matrix = coo().asformat(format)
        sp.save_npz(to / f"float_{format}_deflated.npz", matrix)
        sp.save_npz(to / f"float_{format}_stored.npz", matrix, compressed=False)
        sp.save_npz(to / f"float_{format}_array.npz", getattr(sp, f"{format}_array")(matrix))
        wide = matrix.copy()
        for name in ("indices", "indptr", "row", "col"):
            if hasattr(wide, name):
                setattr(wide, name, getattr(wide, name).astype(np.int64))
        sp.save_npz(to / f"float_{format}_int64.npz", wide)
    for dtype in ("i1", "u2", "i4", "u8", "f4"):
        sp.save_npz(to / f"whole_{dtype}.npz", coo(WHOLE, dtype).tocsr())
    big = {name: getattr(coo().tocsr(), name) for name in ("indices", "indptr", "data")}
    big = {name: array.astype(array.dtype.newbyteorder(">")) for name, array in big.items()}
    np.savez(to / "float_csr_big_endian.npz", **arrays(**big))
    users, items, ratings = (np.array(column) for column in zip(*CELLS))
    np.savez(to / "float_columns.npz", user=users, item=items, rating=ratings)
    np.savez_compressed(
        to / "float_columns_deflated.npz",
        timestamp=np.arange(16),
        movieId=items.astype("U"),
        userId=users.astype("S"),
        rating=ratings.astype("f4"),
    )


NAMES = ["Ann", "Zoë", "007", "d'Arc, Joan", "x" * 40, " ", "7"]


def frame():
    users, items, ratings = zip(*CELLS)
    return pd.DataFrame({
        "timestamp": 978_300_760 + np.arange(16) * 3_600,
        "userId": [NAMES[user] for user in users],
        "movieId": np.array(items, "i8") * 1_000_003,
        "rating": np.array(ratings, "f8"),
    })  # fmt: skip


def parquet():
    to = folder(HERE, "parquet")
    frame().to_csv(to / "ratings.csv", index=False)
    table = pa.Table.from_pandas(frame(), preserve_index=False).replace_schema_metadata(None)
    for codec in ("none", "snappy", "gzip", "zstd", "lz4", "brotli"):
        pq.write_table(table, to / f"pyarrow_{codec}.parquet", compression=codec)
        if codec != "none":
            pl.from_pandas(frame()).write_parquet(to / f"polars_{codec}.parquet", compression=codec)
    frame().to_parquet(to / "pandas.parquet", index=False)
    write = lambda name, table=table, **options: pq.write_table(
        table, to / f"{name}.parquet", **{"store_schema": False} | options)
    write("plain", use_dictionary=False, compression="none")
    write("dictionary", use_dictionary=True)
    write("row_groups", row_group_size=3)
    write("small_pages", data_page_size=1, write_batch_size=2, use_dictionary=False)
    write("page_v2", data_page_version="2.0", compression="zstd")
    write("checksums", write_page_checksum=True)
    write("delta", use_dictionary=False, version="2.6", column_encoding={
        "timestamp": "DELTA_BINARY_PACKED", "userId": "DELTA_LENGTH_BYTE_ARRAY",
        "movieId": "DELTA_BINARY_PACKED", "rating": "BYTE_STREAM_SPLIT",
    })  # fmt: skip
    types = {
        "types_int32_float": {"movieId": pa.int32(), "rating": pa.float32()},
        "types_uint64_decimal": {"movieId": pa.uint64(), "rating": pa.decimal128(5, 1)},
        "types_uint32_half": {"movieId": pa.uint32(), "rating": pa.float16()},
        "types_text": {"movieId": pa.string(), "rating": pa.string(), "userId": pa.large_string()},
        "types_binary": {"userId": pa.binary(), "movieId": pa.binary()},
    }
    for name, change in types.items():
        columns = []
        for field in table.schema:
            column, type = table[field.name], change.get(field.name, field.type)
            if pa.types.is_binary(type):
                column = column.cast(pa.string())
            elif pa.types.is_float16(type):
                column = pa.chunked_array([pa.array(column.to_numpy().astype("f2"))])
            columns.append(column.cast(type))
        write(name, pa.table(columns, names=table.column_names))
    seconds = table["timestamp"].cast(pa.timestamp("s"))
    for unit in ("ms", "us", "ns"):
        timed = table.set_column(0, "timestamp", seconds.cast(pa.timestamp(unit, tz="UTC")))
        write(f"time_{unit}", timed)
    write("time_int96", table.set_column(0, "timestamp", seconds.cast(pa.timestamp("ns"))),
          use_deprecated_int96_timestamps=True)  # fmt: skip
    write("time_number", table.set_column(0, "timestamp", table["timestamp"].cast(pa.float64())))
    required = pa.schema([pa.field(f.name, f.type, nullable=False) for f in table.schema])
    write("required", table.cast(required))
    nested = pa.array([{"a": 1, "b": [1, 2]}] * 16)
    write("beside_nested", table.append_column("extra", nested).select([4, 0, 1, 2, 3]))


def broken_npy():
    to = folder(BROKEN, "npy")
    whole = (HERE / "npy" / "float_le_f8_C.npy").read_bytes()
    np.save(to / "object-dtype.npy", np.array([[1, None], [2, 3]], object), allow_pickle=True)
    np.save(to / "bool-dtype.npy", np.eye(3, dtype=bool))
    np.save(to / "complex-dtype.npy", np.eye(3, dtype=complex))
    np.save(to / "text-dtype.npy", np.array([["a", "b"]]))
    np.save(to / "structured.npy", np.array([(1, 2, 3.5)], [("user", "i4"), ("item", "i4"), ("rating", "f4")]))
    np.save(to / "one-dimension.npy", np.arange(5.0))
    np.save(to / "three-dimensions.npy", np.zeros((2, 2, 2)))
    np.save(to / "no-rows.npy", np.zeros((0, 5)))
    np.save(to / "no-columns.npy", np.asfortranarray(np.zeros((5, 0))))
    np.save(to / "only-nan.npy", np.full((2, 2), np.nan))
    np.save(to / "infinite.npy", np.array([[1, 2], [3, -np.inf]]))
    np.save(to / "too-large.npy", np.array([[1, np.nan], [1e39, 4]]))
    (to / "cut-in-magic.npy").write_bytes(whole[:7])
    (to / "cut-in-header.npy").write_bytes(whole[:40])
    (to / "cut-in-numbers.npy").write_bytes(whole[:-1])
    (to / "too-long.npy").write_bytes(whole + b"\0" * 8)
    (to / "version-9.npy").write_bytes(whole[:6] + b"\x09" + whole[7:])
    (to / "huge-shape.npy").write_bytes(whole.replace(b"(7, 5), }        ", b"(77777, 55555), }"))
    (to / "overflowing-shape.npy").write_bytes(whole.replace(b"(7, 5), }" + b" " * 40, (b"(%d, %d), }" % (2**62, 2**62)).ljust(49)))
    (to / "huge-header.npy").write_bytes(b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + whole[10:])
    (to / "no-dictionary.npy").write_bytes(whole.replace(b"{'descr'", b"['descr'"))
    (to / "negative-shape.npy").write_bytes(whole.replace(b"(7, 5), } ", b"(-7, 5), }"))


def arrays(matrix=None, **changes):
    matrix = coo().tocsr() if matrix is None else matrix
    names = ("row", "col") if matrix.format == "coo" else ("indices", "indptr")
    all = {name: getattr(matrix, name) for name in names}
    all |= {"format": matrix.format.encode(), "shape": matrix.shape, "data": matrix.data}
    return {name: array for name, array in (all | changes).items() if array is not None}


def changed(array, place, value):
    array = np.array(array)
    array[place] = value
    return array


def broken_npz():
    to = folder(BROKEN, "npz")
    csr, csc = coo().tocsr(), coo().tocsc()
    write = lambda name, **all: np.savez(to / f"{name}.npz", **all)
    write("index-too-large", **arrays(indices=changed(csr.indices, 3, 5)))
    write("index-negative", **arrays(indices=changed(csr.indices, 15, -1)))
    write("csc-index-too-large", **arrays(csc, indices=changed(csc.indices, 3, 7)))
    write("coo-row-too-large", **arrays(coo(), row=changed(coo().row, 4, 7)))
    write("coo-col-negative", **arrays(coo(), col=changed(coo().col, 0, -3)))
    write("coo-short-col", **arrays(coo(), col=coo().col[:-1]))
    write("indptr-falls", **arrays(indptr=changed(csr.indptr, 2, 1)))
    write("indptr-beyond", **arrays(indptr=changed(csr.indptr, 2, 99)))
    write("indptr-begins-late", **arrays(indptr=changed(csr.indptr, 0, 1)))
    write("indptr-ends-early", **arrays(indptr=changed(csr.indptr, 7, 15)))
    write("indptr-short", **arrays(indptr=csr.indptr[:-1]))
    write("indptr-float", **arrays(indptr=csr.indptr.astype(float)))
    write("indices-short", **arrays(indices=csr.indices[:-1]))
    write("indices-matrix", **arrays(indices=csr.indices.reshape(4, 4)))
    write("data-text", **arrays(data=csr.data.astype("U")))
    write("data-bool", **arrays(data=csr.data.astype(bool)))
    write("data-nan", **arrays(data=changed(csr.data, 6, np.nan)))
    write("data-infinite", **arrays(data=changed(csr.data, 0, np.inf)))
    write("data-object", **arrays(data=csr.data.astype(object)))
    write("no-indptr", **arrays(indptr=None))
    write("no-entries", **arrays(sp.csr_matrix(SHAPE)))
    write("shape-negative", **arrays(shape=np.array([-7, 5])))
    write("shape-huge", **arrays(shape=np.array([2**40, 5])))
    write("shape-more-rows", **arrays(shape=np.array([2**31, 5])))
    write("shape-three", **arrays(shape=np.array([7, 5, 1])))
    write("format-number", **arrays(format=np.array(3)))
    write("format-unknown", **arrays(format=b"lil"))
    sp.save_npz(to / "format-bsr.npz", coo().tobsr((1, 1)))
    sp.save_npz(to / "format-dia.npz", coo().todia())
    write("other-arrays", user_factors=np.zeros((7, 2), "f4"), item_factors=np.zeros((5, 2), "f4"), mean=3.5)
    write("columns-of-two-lengths", user=np.arange(3), item=np.arange(4), rating=np.ones(3))
    write("columns-float-ids", user=np.arange(3.0), item=np.arange(3), rating=np.ones(3))
    write("columns-empty-id", user=np.array(["a", "", "c"]), item=np.arange(3), rating=np.ones(3))
    write("columns-nan", user=np.arange(3), item=np.arange(3), rating=np.array([1, 2, np.nan]))
    write("columns-none", user=np.arange(0), item=np.arange(0), rating=np.ones(0))
    whole = (HERE / "npz" / "float_csr_deflated.npz").read_bytes()
    (to / "cut-in-directory.npz").write_bytes(whole[:-10])
    (to / "cut-in-arrays.npz").write_bytes(whole[:400])
    stored = (HERE / "npz" / "float_csr_stored.npz").read_bytes()
    place = stored.index(csr.data.tobytes())
    (to / "checksum.npz").write_bytes(stored[: place + 7] + bytes([stored[place + 7] ^ 1]) + stored[place + 8 :])
    with zipfile.ZipFile(to / "packed-otherwise.npz", "w", zipfile.ZIP_BZIP2) as archive:
        for name in ("format", "shape"):
            member = io.BytesIO()
            np.save(member, np.asarray(arrays()[name]))
            archive.writestr(f"{name}.npy", member.getvalue())


def broken_parquet():
    to = folder(BROKEN, "parquet")
    table = pa.Table.from_pandas(frame(), preserve_index=False).replace_schema_metadata(None)
    write = lambda name, table, **options: pq.write_table(
        table, to / f"{name}.parquet", store_schema=False, **options)
    put = lambda name, array: table.set_column(table.column_names.index(name), name, pa.array(array))
    ratings, users = list(frame().rating), list(frame().userId)
    write("null-rating", put("rating", ratings[:6] + [None] + ratings[7:]), row_group_size=4)
    write("null-user", put("userId", users[:-1] + [None]))
    write("empty-user", put("userId", users[:3] + [""] + users[4:]))
    write("nan-rating", put("rating", ratings[:9] + [float("nan")] + ratings[10:]))
    write("infinite-rating", put("rating", [float("inf")] + ratings[1:]))
    write("too-large-rating", put("rating", ratings[:-1] + [1e39]))
    write("text-rating", put("rating", [str(r) for r in ratings[:-1]] + ["good"]))
    write("bool-rating", put("rating", [True] * 16))
    write("float-user", put("userId", [float(i) for i in range(16)]))
    write("date-item", put("movieId", pa.array(range(16), pa.date32())))
    write("nested-user", put("userId", [[user] for user in users]))
    write("struct-item", put("movieId", [{"id": i} for i in range(16)]))
    write("missing-rating", table.drop_columns(["rating"]))
    write("delta-byte-array", table, use_dictionary=False, column_encoding={"userId": "DELTA_BYTE_ARRAY"})
    write("no-rows", table.slice(0, 0))
    write("two-columns", table.select([1, 2]).rename_columns(["a", "b"]))
    whole = (HERE / "parquet" / "plain.parquet").read_bytes()
    (to / "cut-in-magic.parquet").write_bytes(whole[:6])
    (to / "cut-in-pages.parquet").write_bytes(whole[:200])
    (to / "cut-in-footer.parquet").write_bytes(whole[:-9])
    (to / "wrong-end.parquet").write_bytes(whole[:-4] + b"PAR2")
    (to / "encrypted-end.parquet").write_bytes(whole[:-4] + b"PARE")
    (to / "footer-too-long.parquet").write_bytes(whole[:-8] + struct.pack("<I", 2**31 - 1) + b"PAR1")
    footer = struct.unpack("<I", whole[-8:-4])[0]
    start = len(whole) - 8 - footer
    (to / "footer-zeros.parquet").write_bytes(whole[:start] + bytes(footer) + whole[-8:])
    children = b"\x18\x06schema\x15"  # behind the root's name
    (to / "more-children-than-columns.parquet").write_bytes(whole.replace(children + b"\x08", children + b"\x7e"))
    (to / "pages-zeros.parquet").write_bytes(whole[:4] + bytes(start - 4) + whole[start:])
    packed = (HERE / "parquet" / "pyarrow_zstd.parquet").read_bytes()
    place = packed.rindex(b"\x28\xb5\x2f\xfd")
    (to / "packed-damaged.parquet").write_bytes(packed[: place + 6] + b"\xff\xff\xff" + packed[place + 9 :])


def cache():
    """Files of a cache behind their magic and their key: see src/data/cache/file.rs."""
    to = HERE / "cache"
    to.mkdir(exist_ok=True)

    def side(ids):
        offsets = [0]
        for name in ids:
            offsets.append(offsets[-1] + len(name))
        return struct.pack(f"<{len(offsets)}Q", *offsets) + b"".join(ids)

    for name, users, items, cells, repeats in [
        ("plain", [b"1", b"2"], [b"a", b"b"], [(0, 0, 3.0), (1, 0, 4.0), (0, 1, 5.0)], 0),
        ("twice", [b"Zo\xc3\xab"], [b"007", b"7"], [(0, 0, -1.5), (0, 1, 0.0), (0, 0, 2.0)], 1),
    ]:
        lengths = [len(users), sum(map(len, users)), len(items), sum(map(len, items))]
        head = struct.pack("<7Q", *lengths, len(cells), 0, repeats)
        columns = [struct.pack(f"<{len(cells)}{kind}", *column) for kind, column in zip("IIf", zip(*cells))]
        # The checksum is that of whatever stands before, so the tests make it.
        (to / f"{name}.sizes").write_bytes(head + side(users) + side(items) + b"".join(columns) + bytes(4))


if __name__ == "__main__":
    print("VERSIONS", np.__version__, pd.__version__, pl.__version__, pa.__version__, sp.__name__)
    for make in (npy, npz, parquet, broken_npy, broken_npz, broken_parquet, cache):
        make()
