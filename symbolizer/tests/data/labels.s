# Symbols of each kind that a symbol table can hold: with and without a size, of code and of data.
    .text
    .globl sized
    .type sized, %function
sized:
    .fill 16, 1, 0
inner:                          # a label in the middle of a sized function names nothing after it
    .fill 16, 1, 0
    .size sized, . - sized
    .fill 32, 1, 0              # padding
    .globl handwritten
handwritten:                    # reaches to the next symbol
    .fill 32, 1, 0
    .type object, %object
object:                         # data among the code: ends handwritten, names nothing
    .fill 32, 1, 0
    .size object, . - object
    .weak alias
    .type alias, %function
alias:
    .globl strong
    .type strong, %function
strong:
    .type zlocal, %function
zlocal:
    .fill 16, 1, 0
    .size alias, 16
    .size strong, 16
    .size zlocal, 16
last:                           # reaches to the end of the section
    .fill 16, 1, 0

    .data
    .globl variable
variable:
    .8byte 0
