/* The header as a C compiler sees it, and the struct layout that the Java packer writes by offset. */
#include "filigree.h"

#include <stddef.h>
#include <stdio.h>

#define OFFSET_IS(member, offset)                                                                            \
    _Static_assert(offsetof(filigree_spmm_packed, member) == (offset), #member " has moved")

OFFSET_IS(magic, 0);
OFFSET_IS(scratch_bytes, 112);
OFFSET_IS(layout, 120);
OFFSET_IS(activation, 124);
OFFSET_IS(bias, 128);
OFFSET_IS(places, 168);
OFFSET_IS(columns, 176);
OFFSET_IS(values, 184);
OFFSET_IS(order, 192);
_Static_assert(sizeof(filigree_spmm_packed) == 200, "the packed header has grown");
_Static_assert(sizeof(filigree_features) == 12, "filigree_features has grown");

int main(void) {
    printf("ABI %d\n", (int)filigree_abi_version());
    return filigree_abi_version() == FILIGREE_ABI_VERSION ? 0 : 1;
}
