#include "textflag.h"

DATA ·iota8<>+0(SB)/8, $0x0000000100000000
DATA ·iota8<>+8(SB)/8, $0x0000000300000002
DATA ·iota8<>+16(SB)/8, $0x0000000500000004
DATA ·iota8<>+24(SB)/8, $0x0000000700000006
GLOBL ·iota8<>(SB), RODATA|NOPTR, $32

// func boxGap(face *uint8, vals, x *float32, dims int) (total, gap float32)
//
// Eight dimensions at a time, a lane each: the slots of the lowest and of the highest face
// become places in vals, and two gathers fetch the box. What is behind the last
// dimension is masked out: lanes of zeros, which change no sum.
//
//	Y0 widths   Y1 gaps   Y2 zeros   Y10 dims   Y11 dimension of each lane
TEXT ·boxGap(SB), NOSPLIT, $0-40
	MOVQ face+0(FP), SI
	MOVQ vals+8(FP), DI
	MOVQ x+16(FP), DX
	MOVQ dims+24(FP), R8
	MOVQ R8, CX
	VPXOR X0, X0, X0
	VPXOR X1, X1, X1
	VPXOR X2, X2, X2
	VPBROADCASTD R8, Y10
	VMOVDQU ·iota8<>(SB), Y11
	MOVL $8, AX
	VPBROADCASTD AX, Y12
	MOVL $0xff, AX
	KMOVW AX, K1

chunk:
	CMPQ CX, $8
	JGE  full
	MOVL $1, AX
	SHLL CX, AX
	DECL AX
	KMOVW AX, K1

full:
	VPMOVZXBD.Z (SI), K1, Y3
	VPMOVZXBD.Z (SI)(R8*1), K1, Y4
	VPMULLD Y10, Y3, Y3
	VPMULLD Y10, Y4, Y4
	VPADDD Y11, Y3, Y3
	VPADDD Y11, Y4, Y4
	KMOVW K1, K2
	KMOVW K1, K3
	VPXOR X5, X5, X5
	VPXOR X6, X6, X6
	VGATHERDPS (DI)(Y3*4), K2, Y5
	VGATHERDPS (DI)(Y4*4), K3, Y6
	VMOVUPS.Z (DX), K1, Y7
	VSUBPS Y5, Y6, Y8
	VADDPS Y8, Y0, Y0
	VSUBPS Y7, Y5, Y8
	VSUBPS Y6, Y7, Y9
	VMAXPS Y9, Y8, Y8
	VMAXPS Y2, Y8, Y8
	VADDPS Y8, Y1, Y1
	VPADDD Y12, Y11, Y11
	ADDQ $8, SI
	ADDQ $32, DX
	SUBQ $8, CX
	JG   chunk

	VEXTRACTF128 $1, Y0, X3
	VEXTRACTF128 $1, Y1, X4
	VADDPS X3, X0, X0
	VADDPS X4, X1, X1
	VMOVHLPS X0, X0, X3
	VMOVHLPS X1, X1, X4
	VADDPS X3, X0, X0
	VADDPS X4, X1, X1
	VMOVSHDUP X0, X3
	VMOVSHDUP X1, X4
	VADDSS X3, X0, X0
	VADDSS X4, X1, X1
	VMOVSS X0, total+32(FP)
	VMOVSS X1, gap+36(FP)
	VZEROUPPER
	RET
