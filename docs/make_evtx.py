"""Writes examples/sysmon.evtx: one chunk of Sysmon process creations in the binary XML of [MS-EVEN6] 2.2.12, without templates.

python docs/make_evtx.py examples/sysmon.evtx
"""

import datetime as d
import struct
import sys
import zlib

chunk = bytearray(65536)
pos = 512


def name_bytes(n, at):
    h = 0
    for c in n:
        h = (h * 65599 + ord(c)) & 0xFFFFFFFF
    return struct.pack("<I", at + 4) + struct.pack("<IHH", 0, h & 0xFFFF, len(n)) + n.encode("utf-16le") + b"\0\0"


class B:
    def __init__(s, base):
        s.b = bytearray()
        s.base = base

    def at(s):
        return s.base + len(s.b)

    def value(s, t):
        s.b += b"\x05\x01" + struct.pack("<H", len(t)) + t.encode("utf-16le")

    def elem(s, n, attrs=(), text=None, children=()):
        s.b += bytes([0x41 if attrs else 0x01])
        size_at = len(s.b)
        s.b += b"\0\0\0\0"
        start = len(s.b)
        s.b += name_bytes(n, s.at())
        if attrs:
            la = len(s.b)
            s.b += b"\0\0\0\0"
            ls = len(s.b)
            for i, (k, v) in enumerate(attrs):
                s.b += bytes([0x46 if i < len(attrs) - 1 else 0x06])
                s.b += name_bytes(k, s.at())
                s.value(v)
            s.b[la : la + 4] = struct.pack("<I", len(s.b) - ls)
        if text is None and not children:
            s.b += b"\x03"
        else:
            s.b += b"\x02"
            if text is not None:
                s.value(text)
            for c in children:
                s.elem(*c)
            s.b += b"\x04"
        s.b[size_at : size_at + 4] = struct.pack("<I", len(s.b) - start)


t0 = d.datetime(2026, 3, 9, 9, 2, 11)
cmds = [
    (
        "C:\\Windows\\System32\\conhost.exe",
        "\\??\\C:\\Windows\\system32\\conhost.exe 0xffffffff -ForceV1",
        "C:\\Windows\\System32\\cmd.exe",
    ),
    ("C:\\Windows\\System32\\gpupdate.exe", "gpupdate /force", "C:\\Windows\\System32\\cmd.exe"),
    ("C:\\Windows\\System32\\NETSTAT.EXE", "netstat  -anob", "C:\\Windows\\System32\\cmd.exe"),
    (
        "C:\\Program Files\\Mozilla Firefox\\firefox.exe",
        '"C:\\Program Files\\Mozilla Firefox\\firefox.exe" -osint -url https://intranet.example.com/',
        "C:\\Windows\\explorer.exe",
    ),
    (
        "C:\\Windows\\System32\\wbem\\WMIC.exe",
        "wmic  useraccount where localaccount=true get name,sid,disabled",
        "C:\\Windows\\System32\\cmd.exe",
    ),
    ("C:\\Windows\\System32\\reg.exe", "reg  save HKLM\\SECURITY C:\\Users\\Public\\Documents\\c.bak /y", "C:\\Windows\\System32\\cmd.exe"),
    (
        "C:\\Windows\\System32\\reg.exe",
        'reg  add "HKCU\\Software\\Example\\Viewer" /v Zoom /t REG_DWORD /d 2 /f',
        "C:\\Windows\\System32\\cmd.exe",
    ),
    ("C:\\Windows\\System32\\wevtutil.exe", "wevtutil  epl System C:\\Logs\\system.evtx", "C:\\Windows\\System32\\cmd.exe"),
]
last = 0
for i, (img, cmd, par) in enumerate(cmds, 1):
    t = t0 + d.timedelta(seconds=73 * i)
    iso = t.strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    ft = int((t - d.datetime(1601, 1, 1)).total_seconds() * 10_000_000)
    b = B(pos + 24)
    b.b += b"\x0f\x01\x01\x00"
    data = [
        ("Data", (("Name", k),), v)
        for k, v in [
            ("UtcTime", t.strftime("%Y-%m-%d %H:%M:%S.000")),
            ("ProcessId", str(4100 + i * 4)),
            ("Image", img),
            ("CommandLine", cmd),
            ("User", "CORP\\tnovak"),
            ("ParentImage", par),
            ("ParentCommandLine", par),
        ]
    ]
    b.elem(
        "Event",
        (("xmlns", "http://schemas.microsoft.com/win/2004/08/events/event"),),
        None,
        [
            (
                "System",
                (),
                None,
                [
                    ("Provider", (("Name", "Microsoft-Windows-Sysmon"),)),
                    ("EventID", (), "1"),
                    ("Version", (), "5"),
                    ("Level", (), "4"),
                    ("TimeCreated", (("SystemTime", iso),)),
                    ("EventRecordID", (), str(i)),
                    ("Channel", (), "Microsoft-Windows-Sysmon/Operational"),
                    ("Computer", (), "WS-0311.corp.example.com"),
                ],
            ),
            ("EventData", (), None, data),
        ],
    )
    b.b += b"\x00"
    size = 24 + len(b.b) + 4
    pad = (-size) % 8
    size += pad
    rec = b"**\0\0" + struct.pack("<IQQ", size, i, ft) + bytes(b.b) + b"\0" * pad + struct.pack("<I", size)
    chunk[pos : pos + len(rec)] = rec
    last = pos
    pos += len(rec)
n = len(cmds)
chunk[0:8] = b"ElfChnk\0"
struct.pack_into("<QQQQIII", chunk, 8, 1, n, 1, n, 128, last, pos)
struct.pack_into("<I", chunk, 52, zlib.crc32(bytes(chunk[512:pos])))
struct.pack_into("<I", chunk, 124, zlib.crc32(bytes(chunk[:120]) + bytes(chunk[128:512])))
h = bytearray(4096)
h[0:8] = b"ElfFile\0"
struct.pack_into("<QQQIHHHH", h, 8, 0, 0, n + 1, 128, 1, 3, 4096, 1)
struct.pack_into("<I", h, 124, zlib.crc32(bytes(h[:120])))
open(sys.argv[1], "wb").write(bytes(h) + bytes(chunk))
