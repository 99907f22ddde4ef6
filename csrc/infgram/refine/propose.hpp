// Other words for a place in a text, of the same length: drawn by SBIS after what stands before it,
// and words of the corpus that stood between something like what stands around it. For a whole word
// they are words too, and those are left out that do not fit there.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "infgram/contexts/chain.hpp"
#include "infgram/contexts/context.hpp"
#include "infgram/models/draw.hpp"
#include "infgram/models/sbis.hpp"
#include "infgram/refine/candidates.hpp"
#include "infgram/refine/fit.hpp"
#include "infgram/refine/lexicon.hpp"
#include "infgram/refine/words.hpp"
#include "infgram/rows/shard.hpp"
#include "infgram/rows/types.hpp"

namespace infgram::refine {

// What may stand in a place. For all but `text` the place must be a whole word.
enum class Wanted : std::uint8_t {
    text,     // anything
    word,     // words of the corpus
    fitting,  // those that fit on a side
    better    // those whose standing is higher than that of what stands there
};

struct ProposerParameters {
    std::uint32_t n_sbis = 3;     // drawn; those that are new and wanted are candidates
    std::uint32_t n_lexicon = 3;  // words
    Wanted wanted = Wanted::text;
};

// Not for two threads. Borrows the shards of both sides; those of the text read backwards may be
// missing.
template <class Code>
class Proposals {
public:
    Proposals(std::span<const Shard<Code>> forwards, std::span<const Shard<Code>> backwards,
              std::shared_ptr<const Lexicon> lexicon)
        : forwards_(forwards),
          backwards_(backwards),
          lexicon_(std::move(lexicon)),
          fit_(forwards, lexicon_->letters()),
          draw_({.temperature = temperature}) {
        for (const int k : levels_mixed)
            estimators_.emplace_back(SbisParameters{.k = k, .decay = decay}, forwards);
        weights_.of.assign(forwards.front().n_codes(), 0.0);
        counts_.resize(lexicon_->size());
    }

    // Adds candidates for a place of a text, none of them what stands there, no two the same. left:
    // the chains of what stands before it; right: those of what stands behind it, read backwards.
    void operator()(std::span<const Chain> left, std::span<const Chain> right,
                    std::span<const std::uint32_t> codes, Span at,
                    const ProposerParameters& parameters, const Uniform& uniform,
                    Candidates& candidates) {
        first_ = candidates.size();
        old_ = codes.subspan(at.begin, at.size());
        must_be_word_ = parameters.wanted != Wanted::text;
        least_sides_ = 0;
        if (parameters.wanted >= Wanted::fitting) {
            const std::uint32_t known = standing(codes, at);
            if (known == fits && parameters.wanted == Wanted::better) return;
            least_sides_ = parameters.wanted == Wanted::better ? std::max(known, 1u) : 1;
        }
        for (std::uint32_t i = 0; i < parameters.n_sbis; ++i)
            draw(left, estimators_[i % estimators_.size()], uniform, candidates);
        if (parameters.n_lexicon > 0) look_up(left, right, parameters.n_lexicon, candidates);
    }

    static constexpr std::uint32_t fits = 3;
    // Of a word of a text: 0 if the corpus does not have it, 1 if it does, one more for each side
    // that it fits on where it stands.
    [[nodiscard]] std::uint32_t standing(std::span<const std::uint32_t> codes, Span at) {
        fit_.look(codes, at);
        const auto word = codes.subspan(at.begin, at.size());
        word_.assign(word.begin(), word.end());
        const std::uint32_t n_sides = fit_.n_sides(word);
        return n_sides > 0 || lexicon_->find(word_) != Lexicon::none ? 1 + n_sides : 0;
    }

private:
    static constexpr std::array<int, 3> levels_mixed = {2, 3, -1};
    static constexpr double decay = 0.3;
    static constexpr double temperature = 0.8;
    static constexpr std::uint32_t window = 100;
    // How a word's occurrences after a shorter context count against those after a longer one.
    static constexpr double level_decay = 0.3;
    static constexpr std::uint32_t most_rows = 128;  // of a level that are looked at
    static constexpr std::size_t n_frequent = 8;     // words looked at for their frequency alone
    static constexpr double smoothing = 0.02;        // share of the words' frequency in each side
    static constexpr std::size_t most_tried = 64;    // words that are asked whether they fit
    static constexpr std::size_t most_letter = 4;    // tokens of a character

    [[nodiscard]] bool is_new(std::span<const std::uint32_t> codes,
                              const Candidates& candidates) const {
        if (std::ranges::equal(codes, old_)) return false;
        for (std::size_t i = first_; i < candidates.size(); ++i)
            if (std::ranges::equal(codes, candidates[i].codes)) return false;
        return true;
    }
    [[nodiscard]] bool is_wanted(std::span<const std::uint32_t> codes) {
        return least_sides_ == 0 || fit_.n_sides(codes) >= least_sides_;
    }

    // A text of the same length, unless a document ends in it.
    void draw(std::span<const Chain> left, Sbis<Code>& estimator, const Uniform& uniform,
              Candidates& candidates) {
        Context<Code> context(forwards_, {left.begin(), left.end()}, window, std::nullopt);
        if (const auto k = estimator.n_levels()) context.keep_first(*k);
        drawn_.clear();
        while (drawn_.size() < old_.size()) {
            weights_.clear();
            estimator.look(context);
            estimator.weigh(weights_);
            if (!weights_.codes.empty() && weights_.codes.front() == boundary) {
                weights_.of[boundary] = 0.0;
                weights_.codes.erase(weights_.codes.begin());
            }
            if (weights_.codes.empty()) return;
            drawn_.push_back(draw_(weights_, uniform));
            context.read(drawn_.back());
        }
        if (must_be_word_) {
            word_.assign(drawn_.begin(), drawn_.end());
            if (lexicon_->find(word_) == Lexicon::none) return;
        }
        if (is_new(drawn_, candidates) && lexicon_->letters().are_whole(drawn_) &&
            is_wanted(drawn_))
            candidates.add({drawn_, Proposer::sbis, place_of_run(context.chains())});
    }

    // Where what was read last stands in one piece.
    [[nodiscard]] std::optional<Place> place_of_run(std::span<const Chain> chains) const {
        for (std::uint32_t s = 0; s < chains.size(); ++s)
            if (!chains[s].empty() && chains[s].front().n >= old_.size()) {
                const Position end = forwards_[s].position(chains[s].front().range.begin);
                if (end <= old_.size()) throw_corrupt("sa");  // the text begins with a boundary
                return Place{s, end - static_cast<Position>(old_.size())};
            }
        return std::nullopt;
    }

    // How often a word was met on either side.
    struct Counts {
        double left = 0.0;
        double right = 0.0;
        std::optional<Place> place;
    };

    // Words by how often they stood after the left context and before the right one, of each the
    // longer the better: P(w | left) P(w | right) / P(w), each of words of this length.
    void look_up(std::span<const Chain> left, std::span<const Chain> right, std::uint32_t n,
                 Candidates& candidates) {
        const auto frequent = lexicon_->of_length(old_.size());
        if (frequent.empty()) return;
        met_.clear();
        const double n_left = count<false>(forwards_, left);
        const double n_right = count<true>(backwards_, right);
        for (const std::uint32_t id : frequent.first(std::min(n_frequent, frequent.size())))
            counts_of(id);
        ranked_.clear();
        const auto total = static_cast<double>(lexicon_->total(old_.size()));
        for (const std::uint32_t id : met_) {
            const Counts& counts = *counts_[id];
            const double prob = static_cast<double>((*lexicon_)[id].count) / total;
            const auto mixed = [&](double count, double of) {
                return of > 0.0 ? (1.0 - smoothing) * count / of + smoothing * prob : prob;
            };
            ranked_.push_back({std::log(mixed(counts.left, n_left)) +
                                   std::log(mixed(counts.right, n_right)) - std::log(prob),
                               id});
        }
        std::ranges::sort(ranked_, [](const auto& a, const auto& b) {
            return a.first != b.first ? a.first > b.first : a.second < b.second;
        });
        std::uint32_t added = 0;
        std::size_t tried = 0;
        for (const auto& [score, id] : ranked_) {
            if (added == n || tried == most_tried) break;
            const Lexicon::Word& word = (*lexicon_)[id];
            drawn_.assign(word.codes->begin(), word.codes->end());
            if (!is_new(drawn_, candidates)) continue;
            ++tried;
            if (!is_wanted(drawn_)) continue;
            const auto& met = counts_[id]->place;
            candidates.add({drawn_, Proposer::lexicon, met ? *met : word.place});
            ++added;
        }
        for (const std::uint32_t id : met_) counts_[id].reset();
    }

    Counts& counts_of(std::uint32_t id) {
        if (!counts_[id]) {
            counts_[id].emplace();
            met_.push_back(id);
        }
        return *counts_[id];
    }

    // Counts the words of this length that follow the levels' rows; all of them together.
    template <bool backwards>
    double count(std::span<const Shard<Code>> shards, std::span<const Chain> chains) {
        double total = 0.0;
        double weight = 1.0;
        if (shards.empty()) return total;
        for_each_level(
            shards, chains, -1, ranges_,
            [&](std::uint32_t, std::uint64_t, std::span<const Range> ranges) {
                for (std::uint32_t s = 0; s < shards.size(); ++s) {
                    const std::uint32_t step = 1 + ranges[s].size() / most_rows;
                    for (std::uint64_t row = ranges[s].begin; row < ranges[s].end; row += step) {
                        const Position position = shards[s].position(static_cast<Row>(row));
                        const std::uint32_t id = word_at<backwards>(shards[s].text(), position);
                        if (id == Lexicon::none) continue;
                        Counts& counts = counts_of(id);
                        (backwards ? counts.right : counts.left) += weight * step;
                        if (!backwards && !counts.place) counts.place = Place{s, position};
                        total += weight * step;
                    }
                }
                weight *= level_decay;
            });
        return total;
    }

    // The whole word of this length that begins there, in the order of the text; backwards: of a
    // text that stands there read backwards.
    template <bool backwards>
    [[nodiscard]] std::uint32_t word_at(std::span<const Code> text, Position position) {
        const Letters& letters = lexicon_->letters();
        const std::size_t n = old_.size();
        if (text.size() - position < n) return Lexicon::none;
        const std::size_t first = position - std::min<std::size_t>(position, most_letter);
        const std::size_t last = std::min(text.size(), position + n + most_letter);
        around_.assign(text.begin() + static_cast<std::ptrdiff_t>(first),
                       text.begin() + static_cast<std::ptrdiff_t>(last));
        if (backwards) std::ranges::reverse(around_);
        const std::size_t begin = backwards ? last - position - n : position - first;
        const std::span<const std::uint32_t> around(around_);
        if (letters.size_before(around, begin) > 0 || letters.size_at(around, begin + n) > 0)
            return Lexicon::none;
        const auto word = around.subspan(begin, n);
        word_.assign(word.begin(), word.end());
        return lexicon_->find(word_);
    }

    std::span<const Shard<Code>> forwards_;
    std::span<const Shard<Code>> backwards_;
    std::shared_ptr<const Lexicon> lexicon_;
    Fit<Code> fit_;
    Draw draw_;
    std::vector<Sbis<Code>> estimators_;
    Weights weights_;
    std::span<const std::uint32_t> old_;
    bool must_be_word_ = false;
    std::uint32_t least_sides_ = 0;
    std::size_t first_ = 0;  // of the candidates for it
    std::vector<std::uint32_t> drawn_;
    std::vector<std::optional<Counts>> counts_;  // by word
    std::vector<std::uint32_t> met_;             // words that have counts
    std::vector<std::pair<double, std::uint32_t>> ranked_;
    std::vector<std::uint32_t> around_;
    std::u32string word_;
    std::vector<Range> ranges_;
};

}  // namespace infgram::refine
