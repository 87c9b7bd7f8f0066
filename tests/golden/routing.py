#!/usr/bin/env python3
"""Makes routing.csv: partition keys with their hash keys and shards, by Python's own MD5 and integers."""
import hashlib
import random

COUNTS = [1, 2, 3, 4, 5, 7, 16, 100, 1000, 10000]
rng = random.Random(20261121)
keys = ["0", "1", "user-42", "a b", "\t", "\u00e9", "\u0416", "\u6cb3", "\U0001f30a", "e\u0301", "127.0.0.1"]
# Lengths at the edges of MD5's 64-byte blocks, and the longest keys there are.
for length in [1, 2, 15, 16, 54, 55, 56, 57, 63, 64, 65, 118, 119, 120, 127, 128, 129, 255, 256]:
    keys.append("k" * length)
    keys.append("".join(rng.choice("abcdefghijklmnopqrstuvwxyz0123456789-_") for _ in range(length)))
keys += ["\U0001f30a" * 256, "\u6cb3" * 256, "\u00e9" * 256]
keys += [f"sensor/{n}" for n in range(60)]
keys += ["".join(chr(rng.choice([rng.randrange(0x20, 0x7f), rng.randrange(0xa1, 0x2000), rng.randrange(0x1f300, 0x1f600)]))
                 for _ in range(rng.randrange(1, 80))) for _ in range(60)]
print("key_utf8_hex,hash_key," + ",".join(f"of_{count}" for count in COUNTS))
for key in dict.fromkeys(keys):
    utf8 = key.encode("utf-8")
    hash_key = int.from_bytes(hashlib.md5(utf8).digest(), "big")
    shards = [min(hash_key // (2**128 // count), count - 1) for count in COUNTS]
    print(f"{utf8.hex()},{hash_key}," + ",".join(map(str, shards)))
