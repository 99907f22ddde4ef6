// Asking for memory early. A hint: it changes no result, and the address need not be one.
//
// Pure: threads may call all of it.
#pragma once

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#endif

namespace infgram {

// p is read soon.
inline void prefetch(const void* p) noexcept {
#if !defined(_MSC_VER) || defined(__clang__)
    __builtin_prefetch(p);
#elif defined(_M_ARM64)
    __prefetch(p);
#else
    _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0);
#endif
}

// p is written soon.
inline void prefetch_to_write(void* p) noexcept {
#if !defined(_MSC_VER) || defined(__clang__)
    __builtin_prefetch(p, 1);
#elif defined(_M_ARM64)
    __prefetch2(p, 0x10);  // PSTL1KEEP
#else
    _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0);
#endif
}

}  // namespace infgram
