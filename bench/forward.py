"""forward.py MODEL IDX.gz THREADS: PyTorch's part of bench/forward, one network in one process. Prints the
probabilities of all pictures of the IDX file as one line of JSON; then, for each line "BATCH SECONDS" of its
input, the images per second of the median pass within that many seconds.
"""
import gzip
import json
import statistics
import sys
import time

import torch

from torch_network import read_network


def rate(network, batch, seconds):
    images, times = torch.rand(batch, 1, 28, 28), []
    while sum(times) < seconds or len(times) < 5:
        begun = time.perf_counter()
        network(images)
        times.append(time.perf_counter() - begun)
    return batch / statistics.median(times)


def main():
    model, pictures, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    network = read_network(model)
    with gzip.open(pictures) as file:
        pixels = torch.frombuffer(bytearray(file.read()[16:]), dtype=torch.uint8)
    with torch.inference_mode():
        print(json.dumps(network(pixels.reshape(-1, 1, 28, 28).float() / 255).tolist()), flush=True)
        for line in sys.stdin:
            batch, seconds = line.split()
            print(rate(network, int(batch), float(seconds)), flush=True)


if __name__ == "__main__":
    main()
