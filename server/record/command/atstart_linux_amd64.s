//go:build !cgo

#include "textflag.h"

// System calls and constants of Linux on amd64 (syscall_64.tbl, asm-generic/fcntl.h, asm/prctl.h).
#define SYS_rt_sigaction 13
#define SYS_fcntl 72
#define SYS_arch_prctl 158
#define F_GETFD 1
#define EBADF 9
#define ARCH_SET_FS 0x1002
#define SIG_IGN 1

// atStart runs on the first thread's own stack, before anything of Go's runtime. It sets bits in
// ignoredAtStart and closedAtStart, and then does what the runtime leaves to _cgo_init: it gives the
// thread its storage, which ends where FS points to.
TEXT ·atStart(SB),NOSPLIT|NOFRAME,$0
	SUBQ $40, SP // room for the kernel's struct sigaction, whose first word is the handler
	MOVQ $1, BX
signal:
	MOVQ BX, DI
	MOVQ $0, SI
	LEAQ 0(SP), DX
	MOVQ $8, R10 // the size of a set of signals
	MOVQ $SYS_rt_sigaction, AX
	SYSCALL
	TESTQ AX, AX
	JNE nextSignal
	CMPQ 0(SP), $SIG_IGN
	JNE nextSignal
	LEAQ -1(BX), CX
	MOVQ $1, AX
	SHLQ CX, AX
	ORQ AX, ·ignoredAtStart(SB)
nextSignal:
	INCQ BX
	CMPQ BX, $64
	JLE signal

	MOVQ $0, BX
stream:
	MOVQ BX, DI
	MOVQ $F_GETFD, SI
	MOVQ $SYS_fcntl, AX
	SYSCALL
	CMPQ AX, $-EBADF
	JNE nextStream
	MOVQ BX, CX
	MOVQ $1, AX
	SHLQ CX, AX
	ORQ AX, ·closedAtStart(SB)
nextStream:
	INCQ BX
	CMPQ BX, $2
	JLE stream

	MOVQ $ARCH_SET_FS, DI
	LEAQ ·storage+8(SB), SI
	MOVQ $SYS_arch_prctl, AX
	SYSCALL
	ADDQ $40, SP
	RET

DATA _cgo_init+0(SB)/8, $·atStart(SB)
GLOBL _cgo_init(SB), NOPTR, $8
