"""peer.py MODEL.safetensors PORT: a typical server written with FastAPI, Pillow and PyTorch, for bench/peers,
in one process."""
import io
import sys

import numpy
import torch
import uvicorn
from fastapi import FastAPI, Request
from PIL import Image

from torch_network import read_network

torch.set_num_threads(1)
app = FastAPI()
network = read_network(sys.argv[1])


@app.post("/predict")
async def predict(request: Request):
    picture = Image.open(io.BytesIO(await request.body())).convert("L")
    image = torch.from_numpy(numpy.asarray(picture, dtype="float32") / 255)[None, None]
    with torch.inference_mode():
        probabilities = network(image)[0].tolist()
    return {"class": probabilities.index(max(probabilities)), "probabilities": probabilities}


uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
