#!/usr/bin/env python3
"""Runs a network in this process, without a server: libconvnet by ctypes.

    predict_ctypes.py /usr/share/convnetd/models/digits.safetensors images.raw

The pixels are a file of raw images, one byte per sample, 0 background to 255 ink. Of the library's
structures only pointers are used, so that this needs no more than the functions' names; C programs
have pictures of every format as well (classify.c).
"""
import ctypes
import os
import sys


def library():
    lib = ctypes.CDLL(os.environ.get("LIBCONVNET", "libconvnet.so.1"))
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    lib.cn_model_read.argtypes = [ctypes.c_char_p, ctypes.POINTER(pointer), pointer]
    lib.cn_plan_create.argtypes = [pointer, ctypes.POINTER(pointer), pointer]
    lib.cn_workspace_create.argtypes = [pointer, ctypes.POINTER(pointer), pointer]
    for name in ("cn_plan_input_size", "cn_plan_output_size"):
        getattr(lib, name).argtypes, getattr(lib, name).restype = [pointer], size
    lib.cn_image_from_bytes.argtypes = [ctypes.c_char_p, size, pointer]
    lib.cn_image_from_bytes.restype = None
    lib.cn_plan_run.argtypes = [pointer, pointer, pointer, size, pointer]
    lib.cn_plan_run.restype = None
    for name in ("cn_workspace_free", "cn_plan_free", "cn_model_free"):
        getattr(lib, name).argtypes, getattr(lib, name).restype = [pointer], None
    lib.cn_status_name.restype = ctypes.c_char_p
    return lib


def main():
    model_path, pixels_path = sys.argv[1:]
    lib = library()

    def must(status, what):
        if status != 0:
            raise SystemExit(f"{what}: {lib.cn_status_name(status).decode()}")

    model, plan, workspace = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
    must(lib.cn_model_read(model_path.encode(), ctypes.byref(model), None), model_path)
    # The network is the first member of struct cn_model.
    network = ctypes.cast(model, ctypes.POINTER(ctypes.c_void_p))[0]
    must(lib.cn_plan_create(network, ctypes.byref(plan), None), "the plan")
    must(lib.cn_workspace_create(plan, ctypes.byref(workspace), None), "the workspace")

    inputs, outputs = lib.cn_plan_input_size(plan), lib.cn_plan_output_size(plan)
    with open(pixels_path, "rb") as file:
        pixels = file.read()
    if len(pixels) % inputs:
        raise SystemExit(f"{pixels_path} has {len(pixels)} bytes, no multiple of {inputs}")
    count = len(pixels) // inputs
    images, rows = (ctypes.c_float * len(pixels))(), (ctypes.c_float * (count * outputs))()
    lib.cn_image_from_bytes(pixels, len(pixels), images)
    lib.cn_plan_run(plan, workspace, images, count, rows)
    for i in range(count):
        row = rows[i * outputs:(i + 1) * outputs]
        print(i, row.index(max(row)), max(row))

    lib.cn_workspace_free(workspace)
    lib.cn_plan_free(plan)
    lib.cn_model_free(model)


if __name__ == "__main__":
    main()
