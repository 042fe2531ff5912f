#include "textflag.h"

// func convertGroups(words *uint64, spans *uint8, groups int, by *inverses) int
//
// What number8 (fast.go) does to one word is done here to eight, a row in each
// 64-bit lane: flip 0x30, turn a minus into one more 0 in front, shift the last
// digit into the highest byte, close the gap where the point was, sum up the
// digits by pairs, fours and eights (W. Mula, SIMD-ized conversion of strings
// to integers, 2014), multiply by the inverse of the power of ten.
//
//	Z0   the words          Z1   spans            K1  lanes with a token
//	Z31  0x30 a byte        Z30  0xff a lane      K2  lanes with a minus
//	Z29  0x1d a lane ('-')  Z28  71 a lane        K3  lanes with a point
//	Z27  0x1e a byte ('.')  Z26  1<<56 a lane     K4  bytes that are no digits
//	Z25  9 a byte           Z24  weights 10, 1    K5  lanes that are no numbers
//	Z23  weights 100, 1     Z22  10000 a lane     K6  the same, for another reason
//	Z21  -0.0 a lane        Z20  inverses, near   K7  lanes that begin with 0
//	Z19  inverses, rest     Z18  0                    and more than that
//	Z17  all ones           Z16  9 a lane
//	Z15  0x900 a lane       Z14  0xff00 a lane
TEXT ·convertGroups(SB), NOSPLIT, $0-40
	MOVQ words+0(FP), AX
	MOVQ spans+8(FP), BX
	MOVQ groups+16(FP), CX
	MOVQ by+24(FP), DX
	XORQ SI, SI

	MOVQ $0x3030303030303030, R8
	VPBROADCASTQ R8, Z31
	MOVQ $0xff, R8
	VPBROADCASTQ R8, Z30
	MOVQ $0x1d, R8
	VPBROADCASTQ R8, Z29
	MOVQ $71, R8
	VPBROADCASTQ R8, Z28
	MOVQ $0x1e1e1e1e1e1e1e1e, R8
	VPBROADCASTQ R8, Z27
	MOVQ $0x0100000000000000, R8
	VPBROADCASTQ R8, Z26
	MOVQ $0x0909090909090909, R8
	VPBROADCASTQ R8, Z25
	MOVQ $0x010a010a010a010a, R8
	VPBROADCASTQ R8, Z24
	MOVQ $0x0001006400010064, R8
	VPBROADCASTQ R8, Z23
	MOVQ $10000, R8
	VPBROADCASTQ R8, Z22
	MOVQ $0x8000000000000000, R8
	VPBROADCASTQ R8, Z21
	VMOVDQU64 (DX), Z20
	VMOVDQU64 64(DX), Z19
	VPXORQ Z18, Z18, Z18
	VPTERNLOGQ $0xff, Z17, Z17, Z17
	MOVQ $9, R8
	VPBROADCASTQ R8, Z16
	MOVQ $0x900, R8
	VPBROADCASTQ R8, Z15
	MOVQ $0xff00, R8
	VPBROADCASTQ R8, Z14

group:
	CMPQ SI, CX
	JGE  done
	VPMOVZXBQ (BX), Z1
	VPTESTMQ Z1, Z1, K1
	KORTESTB K1, K1
	JZ   next
	VMOVDQU64.Z (AX), K1, Z0
	VPXORQ.Z Z31, Z0, K1, Z0

	// The first byte tells a minus; behind it a digit from 1 to 9 has to
	// stand, or a 0 and then no digit.
	VPANDQ Z30, Z0, Z2
	VPCMPEQQ Z29, Z2, K1, K2
	VMOVDQA64 Z0, Z3
	VPSRLQ $8, Z0, K2, Z3
	VPANDQ Z30, Z3, Z4
	VPCMPUQ $6, Z16, Z4, K1, K5
	VPTESTNMQ Z4, Z4, K1, K7
	VPANDQ Z14, Z3, Z3
	VPCMPUQ $2, Z15, Z3, K7, K6
	KORB K5, K6, K5
	VPXORQ Z29, Z0, K2, Z0

	// The last digit into the highest byte.
	VPSUBQ Z1, Z28, Z5
	VPSLLVQ Z5, Z0, Z0

	// Z7: the lowest bit of the first point's byte. Z8: all bits below it.
	VPCMPEQB Z27, Z0, K3
	VPMOVM2B K3, Z6
	VPSUBQ Z6, Z18, Z7
	VPANDQ Z6, Z7, Z7
	VPTESTMQ Z7, Z7, K3
	VPADDQ Z17, Z7, Z8
	VPCMPEQQ Z26, Z7, K6
	KORB K5, K6, K5
	VPANDQ Z0, Z8, Z9
	VPSLLQ $8, Z9, Z9
	VPSLLQ $8, Z8, Z10
	VPORQ Z30, Z10, Z10
	VPANDNQ Z0, Z10, Z10
	VPORQ Z9, Z10, K3, Z0

	VPCMPUB $6, Z25, Z0, K4
	KORTESTQ K4, K4
	JNZ  done
	KORTESTB K5, K5
	JNZ  done

	// Eight digits to a number.
	VPMADDUBSW Z24, Z0, Z11
	VPMADDWD Z23, Z11, Z11
	VPMULUDQ Z22, Z11, Z12
	VPSRLQ $32, Z11, Z13
	VPADDQ Z12, Z13, Z12
	VCVTQQ2PD Z12, Z12

	// 7 less the point's byte is how many decimals there are; without a point
	// it is 8, of which the table sees three bits: none.
	VPLZCNTQ Z7, Z13
	VPSRLQ $3, Z13, Z13
	VPERMPD Z20, Z13, Z11
	VPERMPD Z19, Z13, Z13
	VMULPD Z12, Z13, Z13
	VFMADD231PD Z11, Z12, Z13
	VPORQ Z21, Z13, K2, Z13
	VMOVDQU64 Z13, K1, (AX)

next:
	ADDQ $64, AX
	ADDQ $8, BX
	INCQ SI
	JMP  group

done:
	VZEROUPPER
	MOVQ SI, ret+32(FP)
	RET
