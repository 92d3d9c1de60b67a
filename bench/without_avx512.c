/*
 * A library for LD_PRELOAD that hides AVX-512, AMX and AVX-VNNI from a program, so that a peer that
 * offers no choice of instruction set can be measured with AVX2 on any processor. Linux makes the
 * cpuid instruction fail (arch_prctl(2), ARCH_SET_CPUID), and the handler of that signal answers it
 * without those bits. On a processor or machine without this fault the program ends with a message.
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <cpuid.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

/* Intel's manual, volume 2, CPUID: the bits of leaf 7, subleaf 0 and 1. */
#define AVX512_EBX     0xdc230000u
#define AVX512_ECX     0x00005842u
#define AVX512_AMX_EDX 0x03c0010cu
#define AVX_VNNI_EAX   0x00000030u

static void cpuid_answer(int signal_number, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *code = (const unsigned char *)registers[REG_RIP];
    if (info->si_code != SI_KERNEL || code[0] != 0x0f || code[1] != 0xa2) {
        signal(signal_number, SIG_DFL);
        return;
    }
    unsigned leaf = (unsigned)registers[REG_RAX], subleaf = (unsigned)registers[REG_RCX];
    unsigned eax, ebx, ecx, edx;
    syscall(SYS_arch_prctl, ARCH_SET_CPUID, 1);
    __cpuid_count(leaf, subleaf, eax, ebx, ecx, edx);
    syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0);
    if (leaf == 7 && subleaf == 0) {
        ebx &= ~AVX512_EBX;
        ecx &= ~AVX512_ECX;
        edx &= ~AVX512_AMX_EDX;
    } else if (leaf == 7 && subleaf == 1) {
        eax &= ~AVX_VNNI_EAX;
    }
    registers[REG_RAX] = eax;
    registers[REG_RBX] = ebx;
    registers[REG_RCX] = ecx;
    registers[REG_RDX] = edx;
    registers[REG_RIP] += 2;
}

/* The program may not replace the handler, as JavaScript engines do. */
int sigaction(int signal_number, const struct sigaction *action, struct sigaction *old) {
    int (*next)(int, const struct sigaction *, struct sigaction *) = dlsym(RTLD_NEXT, "sigaction");
    return next(signal_number, signal_number == SIGSEGV ? NULL : action, old);
}

__attribute__((constructor)) static void cpuid_hide(void) {
    int (*next)(int, const struct sigaction *, struct sigaction *) = dlsym(RTLD_NEXT, "sigaction");
    struct sigaction action = {.sa_sigaction = cpuid_answer, .sa_flags = SA_SIGINFO | SA_NODEFER};
    if (next(SIGSEGV, &action, NULL) != 0 || syscall(SYS_arch_prctl, ARCH_SET_CPUID, 0) != 0) {
        fputs("without_avx512: this machine cannot hide instructions\n", stderr);
        exit(1);
    }
}
