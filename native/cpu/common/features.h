#ifndef FILIGREE_CPU_COMMON_FEATURES_H
#define FILIGREE_CPU_COMMON_FEATURES_H

#include "filigree.h"

namespace filigree {

/* filigree_features.usable, read from the processor once. */
int32_t usable_features();

/* Whether filigree_request_amx has succeeded in this process. */
bool may_use_amx();

inline bool supports(int32_t required) { return (usable_features() & required) == required; }

} // namespace filigree

#endif
