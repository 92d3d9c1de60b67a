#!/usr/bin/env python3
"""Posts pictures with requests, one connection for all of them, and prints what each is.

    predict_requests.py http://127.0.0.1:8080 seven.png ...
"""
import sys
import time

import requests


def predict(session, url, path):
    """The picture's first prediction. A full server says when to come back: that is obeyed."""
    with open(path, "rb") as file:
        picture = file.read()
    for _ in range(5):
        answer = session.post(url + "/predict", data=picture, timeout=30)
        if answer.status_code != 503:
            break
        time.sleep(int(answer.headers.get("Retry-After", "1")))
    if not answer.ok:  # each refusal is one sentence
        raise SystemExit(f"{path}: {answer.status_code} {answer.json()['error']}")
    return answer.json()["predictions"][0]


def main():
    url, *paths = sys.argv[1:]
    with requests.Session() as session:
        for path in paths:
            prediction = predict(session, url, path)
            print(path, prediction["label"], prediction["confidence"])


if __name__ == "__main__":
    main()
