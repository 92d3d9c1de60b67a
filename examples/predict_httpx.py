#!/usr/bin/env python3
"""Posts many pictures at once with httpx: eight are under way at a time; the order is kept.

    predict_httpx.py http://127.0.0.1:8080 seven.png ...
"""
import asyncio
import pathlib
import sys

import httpx


async def predict(client, path):
    answer = await client.post("/predict", content=pathlib.Path(path).read_bytes())
    if answer.is_error:
        raise SystemExit(f"{path}: {answer.status_code} {answer.json()['error']}")
    return answer.json()["predictions"][0]


async def main():
    url, *paths = sys.argv[1:]
    limits = httpx.Limits(max_connections=8)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=60) as client:
        predictions = await asyncio.gather(*(predict(client, path) for path in paths))
    for path, prediction in zip(paths, predictions):
        print(path, prediction["label"], prediction["confidence"])


if __name__ == "__main__":
    asyncio.run(main())
