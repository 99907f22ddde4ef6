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
using Keys = std::array<std::uint64_t, n_counted>;

inline Keys keys_of(const Text& text) noexcept {
    Keys keys;
    std::uint64_t hash = 0;
    std::uint32_t n = 0;
    for (std::size_t i = 0; i < n_orders; ++i) {
        for (; n < orders[i]; ++n) hash = combine(hash, text.last[n]);
        keys[i] = key_of(0, orders[i], hash);
    }
    for (std::size_t i = 0; i < n_named; ++i) keys[n_orders + i] = named_contexts[i].key(text);
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
struct Recent {
    std::array<Ring, n_rings> rings{};
    std::array<std::uint32_t, n_rings> n_types{};
};

class LiveCounts {
public:
    // max_tokens: at least 2; each takes up to 1 kB.
    explicit LiveCounts(std::uint32_t max_tokens) : max_tokens_(std::max(max_tokens, 2u)) {
        clear();
    }

    // Goes to the contexts of a text: what was counted there is told until something is read.
    void look(const Keys& keys) {
        for (const std::uint64_t key : keys) prefetch(&slots_[first(key)]);
        std::array<std::uint32_t, n_counted> firsts;
        for (std::size_t i = 0; i < n_counted; ++i) {
            const Slot& slot = slots_[find(keys[i])];
            rings_[i] = slot.ring;
            firsts[i] = slot.first;
            prefetch(&counts_[slot.first]);
        }
        for (std::size_t i = 0; i < n_counted; ++i) {
            followers_[i].clear();
            for (std::uint32_t at = firsts[i]; at != 0; at = counts_[at].next)
                followers_[i].push_back({counts_[at].code, counts_[at].count});
        }
    }
    // By rising codes.
    [[nodiscard]] std::span<const Follower> followers(std::size_t i) const noexcept {
        return followers_[i];
    }
    [[nodiscard]] Recent recent() const noexcept {
        Recent found;
        for (std::size_t r = 0; r < n_rings; ++r) {
            found.rings[r] = rings_[ring_contexts[r]];
            found.n_types[r] = static_cast<std::uint32_t>(followers_[ring_contexts[r]].size());
        }
        return found;
    }

    // Counts a code in the contexts of a text.
    void read(const Keys& keys, std::uint32_t code) {
        if (n_tokens_ >= max_tokens_) forget_half();
        recent_.push_back({keys, code});
        count(keys, code);
    }

private:
    struct Slot {
        std::uint64_t key = 0;
        Ring ring;
        std::uint32_t first = 0;  // in counts_, by rising codes; 0: an empty slot
    };
    struct Count {
        std::uint32_t next;  // of the same context; 0: none
        std::uint32_t code;
        std::uint32_t count;
    };
    struct Read {
        Keys keys;
        std::uint32_t code;
    };

    [[nodiscard]] std::size_t first(std::uint64_t key) const noexcept {
        return static_cast<std::size_t>(key >> 24) & (slots_.size() - 1);
    }
    [[nodiscard]] std::size_t find(std::uint64_t key) const noexcept {
        std::size_t at = first(key);
        while (slots_[at].first != 0 && slots_[at].key != key) at = (at + 1) & (slots_.size() - 1);
        return at;
    }

    void clear() {
        slots_.assign(std::size_t{1} << 8, {});
        counts_.assign(1, {});
        n_used_ = 0;
        n_tokens_ = 0;
    }
    void count(const Keys& keys, std::uint32_t code) {
        ++n_tokens_;
        if ((n_used_ + n_counted) * 10 > slots_.size() * 7) grow();
        for (const std::uint64_t key : keys) {
            Slot& slot = slots_[find(key)];
            if (slot.first == 0) {
                slot.key = key;
                ++n_used_;
            }
            slot.ring.push(code);
            std::uint32_t before = 0;  // 0: the slot
            std::uint32_t at = slot.first;
            while (at != 0 && counts_[at].code < code) {
                before = at;
                at = counts_[at].next;
            }
            if (at == 0 || counts_[at].code != code) {
                counts_.push_back({at, code, 0});
                at = static_cast<std::uint32_t>(counts_.size() - 1);
                (before == 0 ? slot.first : counts_[before].next) = at;
            }
            ++counts_[at].count;
        }
    }
    void grow() {
        std::vector<Slot> old(2 * slots_.size());
        old.swap(slots_);
        for (const Slot& slot : old)
            if (slot.first != 0) slots_[find(slot.key)] = slot;
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
    std::vector<Count> counts_;
    std::size_t n_used_ = 0;
    std::uint32_t n_tokens_ = 0;
    std::vector<Read> recent_;
    std::array<std::vector<Follower>, n_counted> followers_;
    std::array<Ring, n_counted> rings_;
};

// What followed each context, for the levels of which these are steps. live: what followed them in
// the text that is read, if it counts. named(i, visit): calls visit(Follower) for each token that
// followed the i-th named context in the corpus.
template <bool adapts, class Named>
void gather(std::span<const Step> steps, const LiveCounts* live, Named&& named,
            Evidence<n_told<adapts>>& to) {
    to.clear();
    const auto suffixes = suffixes_of(steps);
    for (std::size_t i = 0; i < n_counted; ++i) {
        const ContinuationTable* table = i < n_orders ? suffixes[i] : nullptr;
        const bool is_shorter_one =
            i != 0 && i < n_orders && table != nullptr && table == suffixes[i - 1];
        const auto of_corpus = [&](auto&& visit) {
            if (i >= n_orders)
                named(i - n_orders, visit);
            else if (table != nullptr)
                for (const Continuation& token : table->tokens)
                    visit(Follower{token.code, token.matches});
        };
        if constexpr (adapts) {
            const auto in_text = live->followers(i);
            to.take(n_counted + i, [&](auto&& visit) { std::ranges::for_each(in_text, visit); });
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
