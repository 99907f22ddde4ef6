// Token ids to codes and back. Codes are dense: 0 is the document boundary, code c > 0 is the c-th
// smallest token id that occurs in the corpus, so codes sort as token ids do. In an index that has
// grown they do not: what its first segment has not got comes behind.
//
// Immutable: threads may share it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "infgram/rows/types.hpp"

namespace infgram {

class Alphabet {
public:
    static constexpr std::uint32_t unknown = 0xffffffff;

    // token_ids: without repeats, and rising unless the index has grown. end_of_text: the id that
    // stands for the boundary, larger than all.
    Alphabet(std::span<const std::uint32_t> token_ids, std::uint32_t end_of_text,
             bool has_grown = false)
        : token_ids_(token_ids), end_of_text_(end_of_text) {
        const auto rises = [&] {
            return std::ranges::adjacent_find(token_ids, std::greater_equal<>()) == token_ids.end();
        };
        if (token_ids.empty() || std::ranges::max(token_ids) >= end_of_text)
            throw_corrupt("token_ids");
        rises_ = rises();
        if (!rises_) {
            if (!has_grown) throw_corrupt("token_ids");
            sorted_.resize(token_ids.size());
            std::iota(sorted_.begin(), sorted_.end(), 0u);
            const auto id = [&](std::uint32_t place) { return token_ids[place]; };
            std::ranges::sort(sorted_, {}, id);
            if (std::ranges::adjacent_find(sorted_, {}, id) != sorted_.end())
                throw_corrupt("token_ids");
        }
        // Ids of bytes, characters and tokenizers are small: a table. Others: a binary search.
        const std::uint32_t largest = std::ranges::max(token_ids);
        if (largest < max_table) {
            table_.assign(std::size_t{largest} + 1, unknown);
            for (std::size_t i = 0; i < token_ids.size(); ++i)
                table_[token_ids[i]] = static_cast<std::uint32_t>(i + 1);
        }
    }

    // Whether codes sort as token ids do.
    [[nodiscard]] bool rises() const noexcept { return rises_; }

    // Codes in use, the boundary included.
    [[nodiscard]] std::uint32_t n_codes() const noexcept {
        return static_cast<std::uint32_t>(token_ids_.size() + 1);
    }

    // O(1), or O(log n_codes) for ids of 2^22 and more. `unknown` if it does not occur.
    [[nodiscard]] std::uint32_t code(std::uint32_t token_id) const noexcept {
        if (!table_.empty()) return token_id < table_.size() ? table_[token_id] : unknown;
        if (!rises_) {
            const auto id = [&](std::uint32_t place) { return token_ids_[place]; };
            const auto place = std::ranges::lower_bound(sorted_, token_id, {}, id);
            return place == sorted_.end() || id(*place) != token_id ? unknown : *place + 1;
        }
        const auto found = std::ranges::lower_bound(token_ids_, token_id);
        if (found == token_ids_.end() || *found != token_id) return unknown;
        return static_cast<std::uint32_t>(found - token_ids_.begin()) + 1;
    }

    [[nodiscard]] std::uint32_t token_id(std::uint32_t code) const {
        if (code >= n_codes()) throw_corrupt("codes");
        return code == boundary ? end_of_text_ : token_ids_[code - 1];
    }

private:
    static constexpr std::uint32_t max_table = 1u << 22;

    std::span<const std::uint32_t> token_ids_;
    std::uint32_t end_of_text_;
    bool rises_ = true;
    std::vector<std::uint32_t> sorted_;  // places in token_ids_ by rising id, unless they rise
    std::vector<std::uint32_t> table_;
};

}  // namespace infgram
