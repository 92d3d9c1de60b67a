#!/usr/bin/python3
"""export_torchvision.py FOLDER: writes torchvision's classifiers with random weights as ONNX files (Debian:
python3-torchvision). The statistics of batch normalization get random values, like after a training."""
import sys
import torch
import torchvision

NETWORKS = {"resnet18": 224, "mobilenet_v2": 224, "squeezenet1_1": 224, "shufflenet_v2_x1_0": 224,
            "efficientnet_b0": 224, "vgg11": 224, "densenet121": 224}


def main(folder, names):
    for name in names or NETWORKS:
        torch.manual_seed(1)
        network = getattr(torchvision.models, name)(weights=None).eval()
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
        size = NETWORKS[name]
        torch.onnx.export(network, torch.zeros(1, 3, size, size), f"{folder}/{name}.onnx",
                          opset_version=13, input_names=["input"], output_names=["logits"],
                          dynamic_axes={"input": {0: "n"}, "logits": {0: "n"}})
        print(name, flush=True)


main(sys.argv[1], sys.argv[2:])
