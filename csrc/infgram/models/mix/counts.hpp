// How often each token followed each of the named contexts: one hash table for all of them.
//
// Contexts are told apart by 32 bits of a hash beside their place in the table: of a million
// contexts that never occurred, about one in two thousand million is taken for one that did.
//
// Immutable: threads may share it.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "infgram/rows/prefetch.hpp"
#include "infgram/rows/types.hpp"

namespace infgram::mix {

// A token that followed: its code, whether it is the context's last, how often.
class Follower {
public:
    static constexpr std::uint32_t most = (1u << 23) - 1;

    constexpr Follower() = default;
    constexpr Follower(std::uint32_t code, bool is_last, std::uint32_t count)
        : packed_(code << 24 | std::uint32_t{is_last} << 23 | count) {}
    constexpr explicit Follower(std::uint32_t packed) : packed_(packed) {}

    [[nodiscard]] constexpr std::uint32_t packed() const noexcept { return packed_; }
    [[nodiscard]] constexpr std::uint32_t code() const noexcept { return packed_ >> 24; }
    [[nodiscard]] constexpr bool is_last() const noexcept { return (packed_ >> 23 & 1) != 0; }
    [[nodiscard]] constexpr std::uint32_t count() const noexcept { return packed_ & most; }

private:
    std::uint32_t packed_ = 0;
};

// Slots of an open-addressing table: a hash's low half, and one more than where its followers begin.
struct Slots {
    static constexpr std::uint64_t spread = 0xd6e8feb86659fd93ULL;

    // n: a power of two.
    static std::size_t first(std::uint64_t key, std::size_t n) noexcept {
        return static_cast<std::size_t>((key * spread) >> (64 - std::countr_zero(n)));
    }
    static constexpr std::uint64_t slot(std::uint64_t key, std::uint32_t begin) noexcept {
        return key << 32 | (begin + 1);
    }
    static constexpr bool is_of(std::uint64_t slot, std::uint64_t key) noexcept {
        return slot >> 32 == (key & 0xffffffff);
    }
    static constexpr std::uint32_t begin(std::uint64_t slot) noexcept {
        return static_cast<std::uint32_t>(slot) - 1;
    }
};

class NamedCounts {
public:
    // slots: a power of two of them, some empty. Throws CorruptIndex where a search could leave
    // them, or end nowhere.
    NamedCounts(std::vector<std::uint64_t> slots, std::vector<std::uint32_t> followers,
                std::uint32_t n_codes)
        : slots_(std::move(slots)), followers_(std::move(followers)) {
        bool sound = slots_.size() >= 2 && std::has_single_bit(slots_.size()) &&
                     !followers_.empty() && Follower(followers_.back()).is_last();
        bool has_empty = false;
        for (const std::uint64_t slot : slots_) {
            has_empty |= slot == 0;
            sound &= slot == 0 || Slots::begin(slot) < followers_.size();
        }
        for (const std::uint32_t packed : followers_)
            sound &= Follower(packed).code() < n_codes && Follower(packed).count() != 0;
        if (!sound || !has_empty) throw_corrupt("contexts of the mixture");
    }

    [[nodiscard]] std::span<const std::uint64_t> slots() const noexcept { return slots_; }
    [[nodiscard]] std::span<const std::uint32_t> followers() const noexcept { return followers_; }

    void prefetch(std::uint64_t key) const noexcept {
        infgram::prefetch(&slots_[Slots::first(key, slots_.size())]);
    }

    // Where a context's followers begin, by rising codes up to the one that is_last; nullptr: none.
    [[nodiscard]] const std::uint32_t* find(std::uint64_t key) const noexcept {
        for (std::size_t at = Slots::first(key, slots_.size());; ++at) {
            const std::uint64_t slot = slots_[at & (slots_.size() - 1)];
            if (slot == 0) return nullptr;
            if (Slots::is_of(slot, key)) return &followers_[Slots::begin(slot)];
        }
    }

private:
    std::vector<std::uint64_t> slots_;
    std::vector<std::uint32_t> followers_;
};

}  // namespace infgram::mix
