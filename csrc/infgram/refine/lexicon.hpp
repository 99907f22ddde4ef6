// The words of an index's text: how often each occurs, where, and the most frequent of a length.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "infgram/refine/words.hpp"
#include "infgram/rows/shard.hpp"
#include "infgram/rows/types.hpp"

namespace infgram::refine {

// A place in the text of a shard.
struct Place {
    std::uint32_t shard = 0;
    Position position = 0;
};

// Immutable: threads may share it.
class Lexicon {
public:
    static constexpr std::size_t max_word = 32;  // longer runs of letters are no words

    struct Word {
        const std::u32string* codes;
        std::uint64_t count;
        Place place;  // the first occurrence
    };

    // Reads at most max_tokens tokens of the text, from its beginning. O(max_tokens).
    template <class Code>
    Lexicon(std::span<const Shard<Code>> shards, Letters letters, std::size_t max_tokens)
        : letters_(std::move(letters)) {
        if (letters_.n_codes() != shards.front().n_codes())
            throw InvalidParameter("letters are told for another number of codes");
        for (std::uint32_t s = 0; s < shards.size() && max_tokens > 0; ++s) {
            const auto text = shards[s].text().first(std::min(shards[s].text().size(), max_tokens));
            max_tokens -= text.size();
            letters_.for_each_word(text, [&](Span at) {
                if (at.size() > max_word) return;
                std::u32string word(at.size(), 0);
                for (std::size_t i = 0; i < word.size(); ++i)
                    word[i] = shards[s].code_at(static_cast<Position>(at.begin + i));
                add(std::move(word), {s, static_cast<Position>(at.begin)});
            });
        }
        for (std::uint32_t id = 0; id < words_.size(); ++id) {
            const Word& word = words_[id];
            of_length_[word.codes->size()].push_back(id);
            totals_[word.codes->size()] += word.count;
        }
        for (auto& ids : of_length_)
            std::ranges::stable_sort(ids, std::greater{},
                                     [&](std::uint32_t id) { return words_[id].count; });
    }

    [[nodiscard]] const Letters& letters() const noexcept { return letters_; }
    [[nodiscard]] std::size_t size() const noexcept { return words_.size(); }
    [[nodiscard]] const Word& operator[](std::uint32_t id) const noexcept { return words_[id]; }

    static constexpr std::uint32_t none = ~0u;
    // The word's number, or none.
    [[nodiscard]] std::uint32_t find(std::u32string_view word) const {
        const auto found = ids_.find(word);
        return found != ids_.end() ? found->second : none;
    }

    // The words of a length, most frequent first.
    [[nodiscard]] std::span<const std::uint32_t> of_length(std::size_t n) const noexcept {
        return n <= max_word ? std::span<const std::uint32_t>(of_length_[n])
                             : std::span<const std::uint32_t>();
    }
    // Occurrences of all words of a length.
    [[nodiscard]] std::uint64_t total(std::size_t n) const noexcept {
        return n <= max_word ? totals_[n] : 0;
    }

private:
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::u32string_view word) const noexcept {
            return std::hash<std::u32string_view>()(word);
        }
    };

    void add(std::u32string word, Place place) {
        const auto [at, is_new] =
            ids_.try_emplace(std::move(word), static_cast<std::uint32_t>(words_.size()));
        if (is_new) words_.push_back({&at->first, 0, place});
        ++words_[at->second].count;
    }

    Letters letters_;
    std::unordered_map<std::u32string, std::uint32_t, Hash, std::equal_to<>> ids_;
    std::vector<Word> words_;  // in the order of the text; codes are the keys of ids_
    std::array<std::vector<std::uint32_t>, max_word + 1> of_length_;
    std::array<std::uint64_t, max_word + 1> totals_{};
};

}  // namespace infgram::refine
