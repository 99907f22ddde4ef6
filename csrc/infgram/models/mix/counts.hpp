// How often each token followed each of the named contexts: one hash table for all of them.
//
// Contexts are told apart by 31 bits of a hash beside their place in the table: one that never
// occurred is taken for one that did once in some 400 million times.
//
// Immutable: threads may share it.
#pragma once

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

// A slot of an open-addressing table: 31 bits of a hash and whether one token alone has followed,
// then that token, or one more than where the followers begin; 0 where the slot is empty.
struct Slot {
    std::uint32_t check = 0;
    std::uint32_t value = 0;

    static Slot of_single(std::uint64_t key, Follower follower) noexcept {
        return {check_of(key) | 1, follower.packed()};
    }
    static Slot of_several(std::uint64_t key, std::uint32_t begin) noexcept {
        return {check_of(key), begin + 1};
    }
    // Where the search for a key begins, in a table of n slots.
    static std::size_t first(std::uint64_t key, std::size_t n) noexcept {
        return static_cast<std::size_t>((key * spread >> 32) * n >> 32);
    }

    [[nodiscard]] bool is_empty() const noexcept { return value == 0; }
    [[nodiscard]] bool is_single() const noexcept { return (check & 1) != 0; }
    [[nodiscard]] bool is_of(std::uint64_t key) const noexcept {
        return (check | 1) == (check_of(key) | 1);
    }

private:
    static constexpr std::uint64_t spread = 0xd6e8feb86659fd93ULL;
    static std::uint32_t check_of(std::uint64_t key) noexcept {
        return static_cast<std::uint32_t>(key) << 1;
    }
};

class NamedCounts {
public:
    // slots: check and value of each, some empty. followers: of contexts that several tokens have
    // followed. Throws CorruptIndex where a search could leave them, or end nowhere.
    NamedCounts(std::vector<std::uint32_t> slots, std::vector<std::uint32_t> followers,
                std::uint32_t n_codes)
        : slots_(std::move(slots)), followers_(std::move(followers)), n_(slots_.size() / 2) {
        const auto is_sound = [&](Follower follower) {
            return follower.code() < n_codes && follower.count() != 0;
        };
        bool sound = slots_.size() % 2 == 0 && n_ < std::uint64_t{1} << 32 &&
                     (followers_.empty() || Follower(followers_.back()).is_last());
        bool has_empty = false;
        for (std::size_t i = 0; sound && i < n_; ++i) {
            const Slot slot = at(i);
            const Follower single(slot.value);
            has_empty |= slot.is_empty();
            sound = slot.is_empty() || (slot.is_single() ? single.is_last() && is_sound(single)
                                                         : slot.value <= followers_.size());
        }
        for (const std::uint32_t packed : followers_) sound &= is_sound(Follower(packed));
        if (!sound || !has_empty) throw_corrupt("contexts of the mixture");
    }

    [[nodiscard]] std::span<const std::uint32_t> slots() const noexcept { return slots_; }
    [[nodiscard]] std::span<const std::uint32_t> followers() const noexcept { return followers_; }

    void prefetch(std::uint64_t key) const noexcept {
        infgram::prefetch(&slots_[2 * Slot::first(key, n_)]);
    }

    // Where a context's followers begin, by rising codes up to the one that is_last; nullptr: none.
    [[nodiscard]] const std::uint32_t* find(std::uint64_t key) const noexcept {
        for (std::size_t i = Slot::first(key, n_);; i = i + 1 == n_ ? 0 : i + 1) {
            const Slot slot = at(i);
            if (slot.is_empty()) return nullptr;
            if (slot.is_of(key))
                return slot.is_single() ? &slots_[2 * i + 1] : &followers_[slot.value - 1];
        }
    }

private:
    [[nodiscard]] Slot at(std::size_t i) const noexcept {
        return {slots_[2 * i], slots_[2 * i + 1]};
    }

    std::vector<std::uint32_t> slots_;
    std::vector<std::uint32_t> followers_;
    std::size_t n_;
};

}  // namespace infgram::mix
