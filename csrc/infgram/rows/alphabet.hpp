// Token ids to codes and back. Codes are dense: 0 is the document boundary, code c > 0 is the c-th
// smallest token id that occurs in the corpus, so codes sort as token ids do.
//
// Immutable: threads may share it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "infgram/rows/types.hpp"

namespace infgram {

class Alphabet {
public:
    static constexpr std::uint32_t unknown = 0xffffffff;

    // token_ids: rising, without repeats. end_of_text: the id that stands for the boundary, behind
    // them all.
    Alphabet(std::span<const std::uint32_t> token_ids, std::uint32_t end_of_text)
        : token_ids_(token_ids), end_of_text_(end_of_text) {
        for (std::size_t i = 1; i < token_ids.size(); ++i)
            if (token_ids[i - 1] >= token_ids[i]) throw_corrupt("token_ids");
        if (token_ids.empty() || token_ids.back() >= end_of_text) throw_corrupt("token_ids");
        // Ids of bytes, characters and tokenizers are small: a table. Others: a binary search.
        if (token_ids.back() < max_table) {
            table_.assign(std::size_t{token_ids.back()} + 1, unknown);
            for (std::size_t i = 0; i < token_ids.size(); ++i)
                table_[token_ids[i]] = static_cast<std::uint32_t>(i + 1);
        }
    }

    // Codes in use, the boundary included.
    [[nodiscard]] std::uint32_t n_codes() const noexcept {
        return static_cast<std::uint32_t>(token_ids_.size() + 1);
    }

    // O(1), or O(log n_codes) for ids of 2^22 and more. `unknown` if it does not occur.
    [[nodiscard]] std::uint32_t code(std::uint32_t token_id) const noexcept {
        if (!table_.empty()) return token_id < table_.size() ? table_[token_id] : unknown;
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
    std::vector<std::uint32_t> table_;
};

}  // namespace infgram
