// Classes of words, from what stands beside them: the exchange algorithm (Kneser and Ney 1993,
// "Improved clustering techniques for class-based statistical language modelling"; the idea is
// Brown et al. 1992). It counts, and draws no random numbers.
//
// Pure: threads may call it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "infgram/models/mix/text.hpp"

namespace infgram::mix {

// n log n; most n are small.
class NLogN {
public:
    NLogN() {
        for (std::size_t n = 0; n < known_.size(); ++n) known_[n] = of(static_cast<double>(n));
    }
    double operator()(std::uint64_t n) const noexcept {
        return n < known_.size() ? known_[n] : of(static_cast<double>(n));
    }

private:
    static double of(double n) noexcept { return n > 1.0 ? n * std::log(n) : 0.0; }
    std::vector<double> known_ = std::vector<double>(std::size_t{1} << 16);
};

// Gives each word seen `min_count` times or more the class that makes its neighbours' classes most
// probable. words: a text's, by number below n_words, in order. Returns a class a word, or none.
inline std::vector<std::uint8_t> cluster(std::span<const std::uint32_t> words, std::size_t n_words,
                                         std::uint32_t min_count, std::size_t n = WordClasses::n) {
    constexpr std::uint32_t min_feature = 3;  // rarer neighbours count as one
    constexpr int most_sweeps = 8;
    std::vector<std::uint32_t> seen(n_words, 0);
    for (const std::uint32_t word : words) ++seen[word];

    // Neighbours of each word: twice the neighbour's number, one more where it stands before.
    using Neighbour = std::pair<std::uint32_t, std::uint32_t>;  // which, how often
    std::vector<std::vector<std::uint32_t>> raw(n_words);
    const auto feature = [&](std::uint32_t word) {
        return seen[word] >= min_feature ? 2 * (word + 1) : 0;
    };
    for (std::size_t i = 0; i + 1 < words.size(); ++i) {
        if (seen[words[i]] >= min_count) raw[words[i]].push_back(feature(words[i + 1]));
        if (seen[words[i + 1]] >= min_count) raw[words[i + 1]].push_back(feature(words[i]) + 1);
    }
    std::vector<std::vector<Neighbour>> neighbours(n_words);
    for (std::size_t word = 0; word < n_words; ++word) {
        std::ranges::sort(raw[word]);
        for (const std::uint32_t which : raw[word])
            if (!neighbours[word].empty() && neighbours[word].back().first == which)
                ++neighbours[word].back().second;
            else
                neighbours[word].push_back({which, 1});
    }

    std::vector<std::uint32_t> often;
    for (std::uint32_t word = 0; word < n_words; ++word)
        if (seen[word] >= min_count) often.push_back(word);
    std::ranges::stable_sort(often, std::greater{}, [&](std::uint32_t word) { return seen[word]; });

    std::vector<std::uint8_t> classes(n_words, WordClasses::none);
    std::vector<std::uint32_t> together((2 * n_words + 2) * n, 0);  // neighbours' counts, by class
    std::vector<std::uint64_t> totals(n, 0);
    const auto move = [&](std::uint32_t word, std::size_t to, std::uint32_t sign) {
        for (const auto& [which, count] : neighbours[word]) {
            together[which * n + to] += sign * count;
            totals[to] += static_cast<std::uint64_t>(static_cast<std::int32_t>(sign)) * count;
        }
    };
    for (std::size_t i = 0; i < often.size(); ++i) {
        classes[often[i]] = static_cast<std::uint8_t>(i % n);
        move(often[i], i % n, 1);
    }
    const NLogN n_log_n;
    std::vector<double> gains(n);
    for (int sweep = 0; sweep < most_sweeps; ++sweep) {
        std::size_t moved = 0;
        for (const std::uint32_t word : often) {
            const std::size_t old = classes[word];
            move(word, old, ~0u);
            std::ranges::fill(gains, 0.0);
            std::uint64_t own = 0;
            for (const auto& [which, count] : neighbours[word]) {
                own += count;
                const std::uint32_t* at = &together[which * n];
                for (std::size_t c = 0; c < n; ++c)
                    gains[c] += n_log_n(at[c] + count) - n_log_n(at[c]);
            }
            for (std::size_t c = 0; c < n; ++c)
                gains[c] -= n_log_n(totals[c] + own) - n_log_n(totals[c]);
            const auto best =
                static_cast<std::size_t>(std::ranges::max_element(gains) - gains.begin());
            classes[word] = static_cast<std::uint8_t>(best);
            move(word, best, 1);
            moved += best != old ? 1 : 0;
        }
        if (moved * 50 < often.size()) break;
    }
    return classes;
}

// The classes of a text's words and marks. symbols: in order; 0 between documents.
inline WordClasses cluster_words(std::span<const std::uint32_t> symbols, bool is_full) {
    constexpr std::uint32_t min_count = 10;
    std::unordered_map<std::uint64_t, std::uint32_t> numbers;
    std::vector<std::uint64_t> hashes;
    std::vector<std::uint32_t> words;
    const auto found = [&](std::uint64_t hash) {
        const auto [at, is_new] =
            numbers.try_emplace(hash, static_cast<std::uint32_t>(hashes.size()));
        if (is_new) hashes.push_back(hash);
        words.push_back(at->second);
    };
    std::uint64_t word = 0;
    for (const std::uint32_t symbol : symbols) {
        if (is_letter(symbol)) {
            word = combine(word == 0 ? Text::word_start : word, lower(symbol));
            continue;
        }
        if (word != 0) found(word);
        word = 0;
        if (symbol != ' ') found(combine(Text::mark_start, symbol));
    }
    const std::vector<std::uint8_t> classes = cluster(words, hashes.size(), min_count);
    std::vector<std::pair<std::uint64_t, std::uint8_t>> known;
    for (std::size_t i = 0; i < hashes.size(); ++i)
        if (classes[i] != WordClasses::none) known.push_back({hashes[i], classes[i]});
    std::ranges::sort(known);
    std::vector<std::uint64_t> sorted;
    std::vector<std::uint8_t> of;
    std::vector<std::uint8_t> coarse_of;
    std::vector<std::uint8_t> coarse;
    if (is_full) coarse = cluster(words, hashes.size(), min_count, WordClasses::n_coarse);
    for (const auto& [hash, word_class] : known) {
        sorted.push_back(hash);
        of.push_back(word_class);
        if (is_full) coarse_of.push_back(coarse[numbers[hash]]);
    }
    return {sorted, of, coarse_of, is_full};
}

}  // namespace infgram::mix
