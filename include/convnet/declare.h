/* declare.h: the macros around the declarations of each public header. The declarations have C
 * linkage in C++ too, and are all that the shared library exports: everything else in it is
 * compiled with -fvisibility=hidden. */
#ifndef CONVNET_DECLARE_H
#define CONVNET_DECLARE_H

#ifdef __cplusplus
#define CN_DECLARATIONS_BEGIN _Pragma("GCC visibility push(default)") extern "C" {
#define CN_DECLARATIONS_END                                                                        \
    }                                                                                              \
    _Pragma("GCC visibility pop")
#else
#define CN_DECLARATIONS_BEGIN _Pragma("GCC visibility push(default)")
#define CN_DECLARATIONS_END   _Pragma("GCC visibility pop")
#endif

#endif
