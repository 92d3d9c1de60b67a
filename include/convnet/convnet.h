/* convnet.h: every public header of libconvnet. */
#ifndef CONVNET_CONVNET_H
#define CONVNET_CONVNET_H

#include "convnet/activation.h"
#include "convnet/dataset.h"
#include "convnet/image.h"
#include "convnet/layer.h"
#include "convnet/model.h"
#include "convnet/network.h"
#include "convnet/plan.h"
#include "convnet/quantization.h"
#include "convnet/ranks.h"
#include "convnet/reading.h"
#include "convnet/shape.h"
#include "convnet/status.h"
#include "convnet/trace.h"
#include "convnet/trainer.h"
#include "convnet/transfer.h"

#endif
