"""peer.py MODEL.safetensors PORT: the server of bench/peers that one would write with FastAPI, Pillow and
PyTorch, one process."""
import io
import json
import struct
import sys

import numpy
import torch
import uvicorn
from fastapi import FastAPI, Request
from PIL import Image
from torch import nn

CLASSES = 10


def read_tensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        block = file.read()
    del header["__metadata__"]
    return [torch.from_numpy(numpy.frombuffer(block[slice(*entry["data_offsets"])], dtype="<f4").copy())
            .reshape(entry["shape"]) for _, entry in sorted(header.items(), key=lambda row: row[1]["data_offsets"])]


def read_model(path):
    """seed-unstrided: channels last in the file, first in PyTorch."""
    kernel_1, bias_1, kernel_2, bias_2, dense, bias_3 = read_tensors(path)
    model = nn.Sequential(nn.Conv2d(1, 32, 4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 32, 3), nn.ReLU(),
                          nn.MaxPool2d(2), nn.Flatten(), nn.Linear(800, CLASSES), nn.Softmax(dim=1))
    rows = dense.reshape(5, 5, 32, CLASSES).permute(3, 2, 0, 1).reshape(CLASSES, 800)
    values = kernel_1.permute(3, 2, 0, 1), bias_1, kernel_2.permute(3, 2, 0, 1), bias_2, rows, bias_3
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), values):
            parameter.copy_(value)
    return model.eval()


torch.set_num_threads(1)
app = FastAPI()
network = read_model(sys.argv[1])


@app.post("/predict")
async def predict(request: Request):
    picture = Image.open(io.BytesIO(await request.body())).convert("L")
    image = torch.from_numpy(numpy.asarray(picture, dtype="float32") / 255)[None, None]
    with torch.inference_mode():
        probabilities = network(image)[0].tolist()
    return {"class": probabilities.index(max(probabilities)), "probabilities": probabilities}


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
