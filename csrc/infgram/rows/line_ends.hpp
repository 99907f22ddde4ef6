// Line ends in stretches of a shard's text: how many, and where the last one stands.
//
// Immutable: threads may share it. It borrows the weights.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "infgram/rows/match64.hpp"
#include "infgram/rows/types.hpp"

namespace infgram {

class LineEnds {
public:
    struct Found {
        std::int64_t n = 0;
        std::int64_t last = -1;  // position of the last token that holds one; -1 for none
    };

    // n_line_ends: of each code, how many line ends it holds.
    explicit LineEnds(std::span<const std::uint32_t> n_line_ends) : n_line_ends_(n_line_ends) {
        const auto holds = [](std::uint32_t n) { return n != 0; };
        if (std::ranges::count_if(n_line_ends, holds) != 1) return;
        const auto found = std::ranges::find_if(n_line_ends, holds);
        if (*found == 1) only_ = found - n_line_ends.begin();
    }

    // Of a part of the text that begins at `first`. O(size), 64 bytes at a time where codes are
    // bytes and one is the end of a line. Throws CorruptIndex for a code of no alphabet.
    template <class Code>
    [[nodiscard]] Found in(std::span<const Code> text, Position first) const {
        const std::size_t end = text.size();
        Found found;
        std::size_t at = 0;
        if constexpr (sizeof(Code) == 1) {
            if (only_ >= 0)
                for (; at + 64 <= end; at += 64) {
                    const std::uint64_t here = match64(&text[at], static_cast<std::uint8_t>(only_));
                    if (here == 0) continue;
                    found.n += count_bits(here);
                    found.last =
                        static_cast<std::int64_t>(first + at) + 63 - std::countl_zero(here);
                }
        }
        for (; at < end; ++at) {
            const std::uint32_t code = text[at];
            if (code >= n_line_ends_.size()) throw_corrupt("codes");
            if (n_line_ends_[code] == 0) continue;
            found.n += n_line_ends_[code];
            found.last = static_cast<std::int64_t>(first + at);
        }
        return found;
    }

private:
    std::span<const std::uint32_t> n_line_ends_;
    std::ptrdiff_t only_ = -1;  // the code that alone ends lines, one each
};

}  // namespace infgram
