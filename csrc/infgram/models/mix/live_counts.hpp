// What followed each context in the text that was read: how often, and what last. Beside the live
// text of Kneser-Ney, which knows suffixes alone.
//
// When the text reaches its limit the older half is forgotten. Not for two threads.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "infgram/models/mix/evidence.hpp"

namespace infgram::mix {

// The hash of each context of a text: of its suffixes, then of the named ones.
template <Kind kind>
using Keys = std::array<std::uint64_t, n_counted<kind>>;

template <Kind kind>
Keys<kind> keys_of(const Text& text) noexcept {
    Keys<kind> keys;
    std::uint64_t hash = 0;
    std::uint32_t n = 0;
    for (std::size_t i = 0; i < n_orders<kind>; ++i) {
        for (; n < orders<kind>[i]; ++n) hash = combine(hash, text.last[n]);
        keys[i] = key_of(0, orders<kind>[i], hash);
    }
    for (std::size_t i = 0; i < n_named<kind>; ++i)
        keys[n_orders<kind> + i] = named_contexts[i].key(text);
    return keys;
}

// The last codes that followed a context, the latest first.
class Ring {
public:
    static constexpr std::uint32_t most = 7;

    [[nodiscard]] std::uint32_t size() const noexcept {
        return static_cast<std::uint32_t>(packed_ >> 56);
    }
    [[nodiscard]] std::uint32_t operator[](std::uint32_t i) const noexcept {
        return static_cast<std::uint32_t>(packed_ >> 8 * i & 255);
    }
    void push(std::uint32_t code) noexcept {
        const std::uint64_t n = std::min(size() + 1, most);
        packed_ = n << 56 | (packed_ << 8 & 0x00ffffffffffffffULL) | code;
    }
    // How many of the latest are the same.
    [[nodiscard]] std::uint32_t run() const noexcept {
        std::uint32_t n = 0;
        while (n < size() && (*this)[n] == (*this)[0]) ++n;
        return n;
    }

private:
    std::uint64_t packed_ = 0;
};

// What came last in contexts, and how many different codes did.
template <Kind kind>
struct Recent {
    std::array<Ring, n_rings<kind>> rings{};
    std::array<std::uint32_t, n_rings<kind>> n_types{};
};

template <Kind kind>
class LiveCounts {
public:
    // max_tokens: at least 2; each takes up to 2.4 kB.
    explicit LiveCounts(std::uint32_t max_tokens) : max_tokens_(std::max(max_tokens, 2u)) {
        clear();
    }

    // Contexts of a text are looked up in two steps, so that memory is asked for early.
    void prefetch(const Keys<kind>& keys) const noexcept {
        for (const std::uint64_t key : keys) infgram::prefetch(&slots_[first(key)]);
    }
    // Goes to them: what was counted there is told until something is read.
    void look(const Keys<kind>& keys) noexcept {
        for (std::size_t i = 0; i < n_counted<kind>; ++i) {
            looked_[i] = find(keys[i]);
            const Slot& slot = slots_[looked_[i]];
            if (slot.n > 1) infgram::prefetch(&many_[slot.first]);
        }
    }
    // By rising codes.
    [[nodiscard]] std::span<const Follower> followers(std::size_t i) const noexcept {
        return followers(slots_[looked_[i]]);
    }
    [[nodiscard]] Recent<kind> recent() const noexcept {
        Recent<kind> found;
        for (std::size_t r = 0; r < n_rings<kind>; ++r) {
            const Slot& slot = slots_[looked_[ring_contexts<kind>[r]]];
            found.rings[r] = slot.ring;
            found.n_types[r] = slot.n;
        }
        return found;
    }

    // Counts a code in the contexts of a text.
    void read(const Keys<kind>& keys, std::uint32_t code) {
        if (n_tokens_ >= max_tokens_) forget_half();
        recent_.push_back({keys, code});
        count(keys, code);
    }

private:
    // A context: two to a line of the cache. What followed lies here if it is one code, and else in
    // a row of `many_` that has room for `capacity`, a power of 2.
    struct alignas(32) Slot {
        std::uint64_t key = 0;
        Ring ring;
        Follower one{};
        std::uint32_t first = 0;
        std::uint16_t n = 0;  // 0: an empty slot
        std::uint16_t capacity = 0;
    };
    struct Read {
        Keys<kind> keys;
        std::uint32_t code;
    };

    [[nodiscard]] std::size_t first(std::uint64_t key) const noexcept {
        return static_cast<std::size_t>(key >> 24) & (slots_.size() - 1);
    }
    [[nodiscard]] std::size_t find(std::uint64_t key) const noexcept {
        std::size_t at = first(key);
        while (slots_[at].n != 0 && slots_[at].key != key) at = (at + 1) & (slots_.size() - 1);
        return at;
    }
    [[nodiscard]] std::span<const Follower> followers(const Slot& slot) const noexcept {
        return {slot.n > 1 ? &many_[slot.first] : &slot.one, slot.n};
    }

    void clear() {
        slots_.assign(std::size_t{1} << 8, {});
        many_.clear();
        n_used_ = 0;
        n_tokens_ = 0;
    }
    void count(const Keys<kind>& keys, std::uint32_t code) {
        ++n_tokens_;
        if ((n_used_ + n_counted<kind>)*10 > slots_.size() * 7) grow();
        for (const std::uint64_t key : keys) {
            Slot& slot = slots_[find(key)];
            if (slot.n == 0) {
                slot.key = key;
                ++n_used_;
            }
            slot.ring.push(code);
            count(slot, code);
        }
    }
    void count(Slot& slot, std::uint32_t code) {
        const auto counted = followers(slot);
        const auto at = std::ranges::lower_bound(counted, code, {}, &Follower::code);
        const std::size_t place = static_cast<std::size_t>(at - counted.begin());
        if (at == counted.end() || at->code != code) insert(slot, place, code);
        ++(slot.n > 1 ? many_[slot.first + place] : slot.one).count;
    }
    void insert(Slot& slot, std::size_t place, std::uint32_t code) {
        constexpr std::uint16_t least = 4;
        if (slot.n++ == 0) {
            slot.one = {code, 0};
            return;
        }
        if (slot.n > slot.capacity) {  // the old row is left unused: all of them as long as the new
            const std::size_t first = many_.size();
            const std::size_t capacity = std::max<std::size_t>(least, 2 * slot.capacity);
            many_.resize(first + capacity);
            if (slot.capacity == 0)
                many_[first] = slot.one;
            else
                std::copy_n(&many_[slot.first], slot.capacity, &many_[first]);
            slot.first = static_cast<std::uint32_t>(first);
            slot.capacity = static_cast<std::uint16_t>(capacity);
        }
        Follower* row = &many_[slot.first];
        std::copy_backward(row + place, row + slot.n - 1, row + slot.n);
        row[place] = {code, 0};
    }
    void grow() {
        std::vector<Slot> old(2 * slots_.size());
        old.swap(slots_);
        for (const Slot& slot : old)
            if (slot.n != 0) slots_[find(slot.key)] = slot;
    }
    void forget_half() {
        std::vector<Read> kept(recent_.end() - static_cast<std::ptrdiff_t>(max_tokens_ / 2),
                               recent_.end());
        clear();
        for (const Read& each : kept) count(each.keys, each.code);
        recent_ = std::move(kept);
    }

    std::uint32_t max_tokens_;
    std::vector<Slot> slots_;
    std::vector<Follower> many_;
    std::size_t n_used_ = 0;
    std::uint32_t n_tokens_ = 0;
    std::vector<Read> recent_;
    std::array<std::size_t, n_counted<kind>> looked_{};  // the slots
};

// What followed each context, for the levels of which these are steps.
// live: what followed them in the text that is read, if it counts. named(i, visit): calls
// visit(Follower) for each token that followed the i-th named context in the corpus.
template <Kind kind, class Named>
void gather(std::span<const Step> steps, const LiveCounts<kind>* live, Named&& named,
            Evidence<kind>& to) {
    to.clear();
    const auto suffixes = suffixes_of<kind>(steps);
    const auto in_corpus = [&](std::size_t i, auto&& visit) {
        if (i >= n_orders<kind>)
            named(i - n_orders<kind>, visit);
        else if (suffixes[i] != nullptr)
            for (const Continuation& token : suffixes[i]->tokens)
                visit(Follower{token.code, token.matches});
    };
    for (std::size_t i = 0; i < n_counted<kind>; ++i) {
        const auto of_corpus = [&](auto&& visit) { in_corpus(i, visit); };
        const bool is_shorter_one = i != 0 && i < n_orders<kind> && suffixes[i] != nullptr &&
                                    suffixes[i] == suffixes[i - 1];
        if constexpr (kind.adapts) {
            const auto in_text = live->followers(i);
            to.take(n_counted<kind> + i,
                    [&](auto&& visit) { std::ranges::for_each(in_text, visit); });
            if (!in_text.empty()) {
                to.take(i, [&](auto&& visit) {
                    auto at = in_text.begin();
                    of_corpus([&](Follower follower) {
                        while (at != in_text.end() && at->code < follower.code) visit(*at++);
                        if (at != in_text.end() && at->code == follower.code)
                            follower.count += at++->count;
                        visit(follower);
                    });
                    while (at != in_text.end()) visit(*at++);
                });
                continue;
            }
            if (is_shorter_one && !live->followers(i - 1).empty()) {
                to.take(i, of_corpus);
                continue;
            }
        }
        if (is_shorter_one)
            to.take_same(i, i - 1);
        else
            to.take(i, of_corpus);
    }
}

}  // namespace infgram::mix
