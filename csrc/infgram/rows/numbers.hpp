// Numbers in few bytes: 7 bits each, the low ones first, all bytes but the last with a 1 above.
//
// Pure: threads may call all of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace infgram {

inline void write_number(std::uint64_t number, std::vector<std::uint8_t>& to) {
    for (; number >= 128; number >>= 7) to.push_back(static_cast<std::uint8_t>(number | 128));
    to.push_back(static_cast<std::uint8_t>(number));
}

// Takes a number of at most 63 bits off the front; false if there is none.
[[nodiscard]] inline bool read_number(std::span<const std::uint8_t>& from,
                                      std::uint64_t& number) noexcept {
    number = 0;
    for (std::size_t i = 0; i < from.size() && i < 9; ++i) {
        number |= std::uint64_t{from[i] & 127u} << (7 * i);
        if (from[i] < 128) {
            from = from.subspan(i + 1);
            return true;
        }
    }
    return false;
}

}  // namespace infgram
