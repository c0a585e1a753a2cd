# A function whose DWARF nests 200,000 inlined calls, one byte each. Parsers that go one call deeper for each entry
# run out of stack.
    .text
    .globl deep
    .type deep, %function
deep:
    nop
    nop
    nop
    nop
    .size deep, . - deep

    .section .debug_abbrev, "", %progbits
    .uleb128 1, 0x11            # compile_unit
    .byte 1                     # with children
    .uleb128 0x11, 0x01         # low_pc addr
    .uleb128 0x12, 0x07         # high_pc data8
    .uleb128 0, 0
    .uleb128 2, 0x2e            # subprogram
    .byte 1
    .uleb128 0x03, 0x08         # name string
    .uleb128 0x11, 0x01
    .uleb128 0x12, 0x07
    .uleb128 0, 0
    .uleb128 3, 0x1d            # inlined_subroutine
    .byte 1
    .uleb128 0, 0
    .uleb128 0

    .section .debug_info, "", %progbits
    .4byte unit_end - unit_start
unit_start:
    .2byte 4                    # version
    .4byte 0                    # abbreviations at
    .byte 8                     # address size
    .uleb128 1
    .8byte deep
    .8byte 4
    .uleb128 2
    .asciz "deep_by_dwarf"
    .8byte deep
    .8byte 4
    .fill 200000, 1, 3
    .fill 200002, 1, 0
unit_end:
