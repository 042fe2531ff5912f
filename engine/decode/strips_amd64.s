#include "textflag.h"

DATA ·iota64<>+0(SB)/8, $0x0706050403020100
DATA ·iota64<>+8(SB)/8, $0x0f0e0d0c0b0a0908
DATA ·iota64<>+16(SB)/8, $0x1716151413121110
DATA ·iota64<>+24(SB)/8, $0x1f1e1d1c1b1a1918
DATA ·iota64<>+32(SB)/8, $0x2726252423222120
DATA ·iota64<>+40(SB)/8, $0x2f2e2d2c2b2a2928
DATA ·iota64<>+48(SB)/8, $0x3736353433323130
DATA ·iota64<>+56(SB)/8, $0x3f3e3d3c3b3a3938
GLOBL ·iota64<>(SB), RODATA|NOPTR, $64

// func delimiters(s *byte, n, first int, out *uint32, room int) int
//
// 64 bytes at a time: where are delimiters, where are quotes? A carry-less product with all
// ones tells for each byte whether an odd number of quotes is before it: then it is in a
// text. What is left of the delimiters is turned into positions by compressing 0..63.
//
//	Z31 commas    Z30 braces     Z29 quotes    Z27 0..63
//	Z26 position of the 64 bytes, in each of 16 lanes    Z25 64 a lane
//	R9  all ones where the 64 bytes before ended in a text
TEXT ·delimiters(SB), NOSPLIT, $0-48
	MOVQ s+0(FP), SI
	MOVQ n+8(FP), CX
	MOVQ first+16(FP), AX
	MOVQ out+24(FP), DI
	MOVQ room+32(FP), DX
	XORQ BX, BX
	XORQ R9, R9
	MOVQ $0x2c, R8
	VPBROADCASTB R8, Z31
	MOVQ $0x7d, R8
	VPBROADCASTB R8, Z30
	MOVQ $0x22, R8
	VPBROADCASTB R8, Z29
	VMOVDQU64 ·iota64<>(SB), Z27
	VPBROADCASTD AX, Z26
	MOVQ $64, R8
	VPBROADCASTD R8, Z25
	MOVQ $-1, R8
	VMOVQ R8, X6

chunk:
	CMPQ CX, $64
	JL   last
	VMOVDQU64 (SI), Z0

look:
	PREFETCHT0 768(SI)
	VPCMPEQB Z31, Z0, K1
	VPCMPEQB Z30, Z0, K2
	VPCMPEQB Z29, Z0, K3
	KORQ K1, K2, K1
	KMOVQ K3, R10
	KMOVQ K1, R8
	VMOVQ R10, X5
	VPCLMULQDQ $0, X6, X5, X5
	VMOVQ X5, R10
	XORQ R9, R10
	MOVQ R10, R9
	SARQ $63, R9
	ANDNQ R8, R10, R8
	POPCNTQ R8, R11
	CMPQ R11, $16
	JG   fail
	KMOVQ R8, K1
	VPCOMPRESSB.Z Z27, K1, Z1
	VPMOVZXBD X1, Z1
	VPADDD Z26, Z1, Z1
	VMOVDQU Y1, (DI) // all there is, mostly
	CMPQ R11, $8
	JG   many

some:
	LEAQ (DI)(R11*4), DI
	ADDQ R11, BX
	CMPQ BX, DX
	JG   fail
	VPADDD Z25, Z26, Z26
	ADDQ $64, SI
	SUBQ $64, CX
	JMP  chunk

many:
	VMOVDQU32 Z1, (DI)
	JMP  some

done:
	VZEROUPPER
	MOVQ BX, ret+40(FP)
	RET

last:
	CMPQ CX, $0
	JLE  done
	MOVQ $-1, R8
	BZHIQ CX, R8, R8
	KMOVQ R8, K5
	VMOVDQU8.Z (SI), K5, Z0
	JMP  look

fail:
	VZEROUPPER
	MOVQ $-1, ret+40(FP)
	RET

// func sameBytes(base unsafe.Pointer, at *uint32, n int, lit *stripLit) bool
TEXT ·sameBytes(SB), NOSPLIT, $0-33
	MOVQ base+0(FP), SI
	MOVQ at+8(FP), DI
	MOVQ n+16(FP), CX
	MOVQ lit+24(FP), DX
	MOVQ 64(DX), R8
	KMOVQ R8, K1
	KXORQ K2, K2, K2
	VMOVDQU64 (DX), Z0

next:
	MOVL (DI), AX
	VPCMPUB $4, (SI)(AX*1), Z0, K1, K3
	KORQ K3, K2, K2
	ADDQ $4, DI
	DECQ CX
	JNZ  next

	KORTESTQ K2, K2
	SETEQ ret+32(FP)
	VZEROUPPER
	RET

// func tokenRows(base unsafe.Pointer, from, to *uint32, n int, ends *uint32, stride int, lit *stripLit, length int, words *uint64, spans *uint8) (same, short bool)
TEXT ·tokenRows(SB), NOSPLIT, $0-82
	MOVQ base+0(FP), SI
	MOVQ from+8(FP), DI
	MOVQ to+16(FP), R8
	MOVQ n+24(FP), CX
	MOVQ ends+32(FP), DX
	MOVQ stride+40(FP), R9
	MOVQ lit+48(FP), AX
	MOVQ length+56(FP), R10
	MOVQ words+64(FP), R11
	MOVQ spans+72(FP), R12
	VMOVDQU64 (AX), Z0
	MOVQ 64(AX), BX
	KMOVQ BX, K1
	KXORQ K2, K2, K2
	SHLQ $2, R9
	MOVL $-1, R14

row:
	MOVL (DI), AX
	MOVL (DX), BX
	VPCMPUB $4, (SI)(AX*1), Z0, K1, K3
	KORQ K3, K2, K2
	MOVL BX, (R8)
	ADDL R10, AX
	SUBL AX, BX
	MOVQ (SI)(AX*1), R13
	LEAL 7(BX*8), AX
	MOVQ R13, (R11)
	MOVB AX, (R12)
	DECL BX
	CMPL BX, $8
	SBBL BX, BX
	ANDL BX, R14
	ADDQ $4, DI
	ADDQ $4, R8
	ADDQ R9, DX
	ADDQ $8, R11
	INCQ R12
	DECQ CX
	JNZ  row

	KORTESTQ K2, K2
	SETEQ same+80(FP)
	TESTL R14, R14
	SETNE short+81(FP)
	VZEROUPPER
	RET

// func textRows(base unsafe.Pointer, from, to *uint32, n int, ends *uint32, stride int, lit *stripLit, length int, data *byte, offsets *int32) (same bool, done int)
//
//	X31 spaces    X30 quotes    X29 backslashes    K6 what is not plain    K5 quotes
TEXT ·textRows(SB), NOSPLIT, $0-96
	MOVQ base+0(FP), SI
	MOVQ from+8(FP), DI
	MOVQ to+16(FP), R8
	MOVQ n+24(FP), CX
	MOVQ ends+32(FP), DX
	MOVQ stride+40(FP), R9
	MOVQ lit+48(FP), AX
	MOVQ length+56(FP), R10
	MOVQ data+64(FP), R11
	MOVQ offsets+72(FP), R12
	VMOVDQU64 (AX), Z0
	MOVQ 64(AX), BX
	KMOVQ BX, K1
	KXORQ K2, K2, K2
	SHLQ $2, R9
	MOVL $0x20, AX
	VPBROADCASTB AX, X31
	MOVL $0x22, AX
	VPBROADCASTB AX, X30
	MOVL $0x5c, AX
	VPBROADCASTB AX, X29
	MOVL (R12), R13

text:
	MOVL (DI), AX
	MOVL (DX), BX
	VPCMPUB $4, (SI)(AX*1), Z0, K1, K3
	KORQ K3, K2, K2
	MOVL BX, (R8)
	ADDL R10, AX
	SUBL AX, BX
	DECL BX // bytes of the text
	CMPL BX, $15
	JHI  out
	VMOVDQU (SI)(AX*1), X1
	VPCMPUB $1, X31, X1, K4
	VPCMPEQB X30, X1, K5
	VPCMPEQB X29, X1, K6
	VPMOVB2M X1, K7
	KORW K4, K6, K6
	KORW K7, K6, K6
	KMOVW K6, AX
	KMOVW K5, R14
	LEAL 1(BX), R15
	BZHIL R15, AX, AX
	BZHIL R15, R14, R14
	BTCL BX, R14
	ORL  AX, R14
	JNZ  out
	VMOVDQU X1, (R11)(R13*1)
	ADDL BX, R13
	MOVL R13, 4(R12)
	ADDQ $4, R12
	ADDQ $4, DI
	ADDQ $4, R8
	ADDQ R9, DX
	DECQ CX
	JNZ  text

out:
	KORTESTQ K2, K2
	SETEQ same+80(FP)
	MOVQ n+24(FP), AX
	SUBQ CX, AX
	MOVQ AX, done+88(FP)
	VZEROUPPER
	RET
