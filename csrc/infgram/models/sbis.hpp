// Selective Back-off Interpolation Sampling: the first k levels, mixed by decay^i.
//
// The readable definition is src/infgram/models/estimators.py. k = 1 is the infinity-gram: the
// longest level alone.
//
// Not for two threads: each has an estimator of its own.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "infgram/contexts/chain.hpp"
#include "infgram/contexts/context.hpp"
#include "infgram/contexts/histogram.hpp"
#include "infgram/rows/alphabet.hpp"
#include "infgram/rows/match64.hpp"
#include "infgram/rows/shard.hpp"

namespace infgram {

struct SbisParameters {
    int k;                   // levels to mix, -1 for all
    double decay;            // level i has weight decay^i
    bool normalise = false;  // mix distributions instead of counts
    // Probability of each token of the alphabet without a weight, and of all tokens together that
    // the corpus never had.
    double floor = 0.0;
    std::uint64_t n_vocabulary = 0;  // tokens that there are, the end of text among them
};

template <class Code>
class Sbis {
public:
    using Parameters = SbisParameters;

    // Borrows the shards.
    Sbis(const SbisParameters& parameters, std::span<const Shard<Code>> shards)
        : parameters_(parameters), counts_(n_codes_of(shards)) {}

    // Of the counts of a live text: it has whole ones alone.
    static FixedPower live_power(const SbisParameters&) { return FixedPower(0.0); }

    // How many levels it looks at but to back off; nothing: all.
    [[nodiscard]] std::optional<std::size_t> n_levels() const noexcept {
        if (parameters_.k < 0) return std::nullopt;
        return static_cast<std::size_t>(parameters_.k);
    }

    // Finds the levels to mix. The other methods answer for the context seen last, which must live
    // on. Where nothing of the context occurs, all tokens are the level.
    void look(const Context<Code>& context) {
        context_ = &context;
        shards_ = context.shards();
        live_ = context.live();
        find_levels(parameters_.k, 0);
        if (levels_.empty()) add_everything();
    }

    // Takes the next shorter level alone; false if there is none.
    bool back_off() {
        const std::uint64_t m = levels_.back().m;
        find_levels(1, m);
        if (levels_.empty()) add_everything();
        return levels_.back().m > m;
    }

    // The only code that follows any level, if that is quick to see, or Alphabet::unknown: ranges
    // of later levels contain those of earlier ones, so the last level has every code there is.
    [[nodiscard]] std::uint32_t only_code() const {
        return shards_.size() == 1 && live_ == nullptr && parameters_.floor == 0.0
                   ? shards_[0].only_next(ranges_.back())
                   : Alphabet::unknown;
    }

    [[nodiscard]] std::uint64_t n_vocabulary() const noexcept { return parameters_.n_vocabulary; }

    [[nodiscard]] const SbisParameters& parameters() const noexcept { return parameters_; }

    // Levels to mix, and how many of the matches of one have a next token.
    [[nodiscard]] std::size_t n_mixed() const noexcept { return levels_.size(); }
    [[nodiscard]] std::uint64_t m(std::size_t level) const noexcept { return levels_[level].m; }

    // The next token of one of the m rows of a level of the corpus alone, of which nothing was
    // removed.
    [[nodiscard]] std::uint32_t next(std::size_t level, std::uint64_t row) const {
        std::size_t s = 0;
        for (; row >= shards_[s].m(ranges(level)[s]); ++s) row -= shards_[s].m(ranges(level)[s]);
        const Range range = ranges(level)[s];
        Row at = range.begin + static_cast<Row>(row);
        if (shards_[s].has_end(range) && at >= shards_[s].end_row()) ++at;
        return shards_[s].next_code(at);
    }

    // How often the code follows a level.
    [[nodiscard]] std::uint64_t count(std::size_t level, std::uint32_t code) {
        if (code == boundary) {
            count_level(level);
            return counts_[code];
        }
        std::uint64_t n = total(shards_, ranges(level), [&](const Shard<Code>& shard, Range range) {
            return range.empty() ? 0 : shard.extend(range, code).size();
        });
        if (const std::size_t live = levels_[level].live; live != no_live)
            live_->for_each_token(live_->levels()[live],
                                  [&](const Continuation& token, std::uint32_t raw) {
                                      n += token.code == code ? raw : 0;
                                  });
        return n;
    }

    // Of each token that follows nothing. The first call with a floor counts what does.
    [[nodiscard]] double unseen() {
        if (parameters_.floor == 0.0) return 0.0;
        find_known();
        return n_unseen_ != 0 ? parameters_.floor / static_cast<double>(n_unseen_) : 0.0;
    }

    // Of a code, or of any token that the corpus never had (Alphabet::unknown). O(levels) ranks a
    // shard; with a floor also the histogram of the last level. Throws CorruptIndex.
    [[nodiscard]] double prob(std::uint32_t code) {
        if (code == Alphabet::unknown) return unseen();
        double weight = 0.0;
        double total = 0.0;
        double level_weight = 1.0;
        for (std::size_t i = 0; i < levels_.size(); ++i) {
            const double m = static_cast<double>(levels_[i].m);
            const double scale = parameters_.normalise ? m : 1.0;
            weight += level_weight * (static_cast<double>(count(i, code)) / scale);
            total += level_weight * (m / scale);
            level_weight *= parameters_.decay;
        }
        // What follows a level is among its rows, counted in another way.
        if (weight > total * (1.0 + 1e-9)) throw_corrupt("rank_blocks");
        if (parameters_.floor == 0.0) return weight / total;
        find_known();
        if (weight == 0.0) return known_[code] != 0 ? parameters_.floor : unseen();
        count_level(levels_.size() - 1);
        return above_floor(code, share_above_floor() * (weight / total));
    }

    // Weight of token w: sum over levels i of decay^i * count_i(w) (/ m_i). Where there is a floor,
    // it is a probability: with those of all other tokens they sum to 1. Throws CorruptIndex;
    // nothing has a weight then.
    void weigh(Weights& weights) {
        try {
            weigh_levels(weights);
        } catch (...) {
            weights.clear_all();
            throw;
        }
    }

private:
    void weigh_levels(Weights& weights) {
        if constexpr (sizeof(Code) == 1)
            if (is_narrow()) return weigh_narrow(weights);
        double level_weight = 1.0;
        for (std::size_t i = 0; i < levels_.size(); ++i) {
            if (i == 0)
                count_level(i);
            else if (live_ == nullptr && !any_removed(shards_))
                count_further(i);
            else
                count_again(i);
            const double scale = parameters_.normalise ? static_cast<double>(levels_[i].m) : 1.0;
            for (const std::uint32_t code : counts_.seen())
                weights.of[code] += level_weight * (static_cast<double>(counts_[code]) / scale);
            level_weight *= parameters_.decay;
        }
        const auto codes = counts_.codes();  // of the last level
        weights.codes.assign(codes.begin(), codes.end());
        if (parameters_.floor != 0.0) add_floor(weights);
    }

    static constexpr std::size_t no_live = ~std::size_t{0};

    struct Level {
        std::uint64_t m;
        std::size_t live;  // level of the live text, or no_live
    };

    void add_level(std::uint64_t m, std::span<const Range> ranges, std::size_t live) {
        levels_.push_back({m, live});
        for (const Range range : ranges) ranges_.push_back(range);
    }

    // The first k levels with more than least_m matches.
    void find_levels(int k, std::uint64_t least_m) {
        levels_.clear();
        ranges_.clear();
        if (live_ != nullptr) return merge(k, least_m);
        for_each_level(shards_, context_->chains(), least_m == 0 ? k : -1, scratch_,
                       [&](std::uint32_t, std::uint64_t m, std::span<const Range> ranges) {
                           if (m > least_m && !std::cmp_equal(levels_.size(), k))
                               add_level(m, ranges, no_live);
                       });
    }

    void add_everything() {
        std::uint64_t m = live_ != nullptr ? live_->m(live_->levels()[0]) : 0;
        for (const auto& shard : shards_) ranges_.push_back(shard.all());
        m += total_m(shards_);
        levels_.push_back({m, live_ != nullptr ? 0 : no_live});
    }

    // Levels of the corpus and the live text together: at length n each gives its shortest level
    // that is at least n long.
    void merge(int k, std::uint64_t last_m) {
        struct CorpusLevel {
            std::uint32_t n;
            std::uint64_t m;
            std::size_t first_range;
        };
        std::vector<CorpusLevel> corpus;
        std::vector<Range> ranges;
        for_each_level(shards_, context_->chains(), -1, scratch_,
                       [&](std::uint32_t n, std::uint64_t m, std::span<const Range> at) {
                           corpus.push_back({n, m, ranges.size()});
                           ranges.insert(ranges.end(), at.begin(), at.end());
                       });
        const std::vector<Range> nothing(shards_.size());
        std::span<const Range> at = nothing;
        std::uint64_t corpus_m = 0;
        std::size_t live = no_live;
        std::size_t c = 0;
        std::size_t l = live_->levels().size() - 1;  // the first one is the empty context
        while (c < corpus.size() || l > 0) {
            const std::uint32_t n =
                std::max(c < corpus.size() ? corpus[c].n : 0, l > 0 ? live_->levels()[l].n : 0);
            if (c < corpus.size() && corpus[c].n == n) {
                at = std::span(ranges).subspan(corpus[c].first_range, shards_.size());
                corpus_m = corpus[c++].m;
            }
            while (l > 0 && live_->levels()[l].n >= n) live = l--;
            const std::uint64_t m =
                corpus_m + (live != no_live ? live_->m(live_->levels()[live]) : 0);
            if (m <= last_m) continue;
            last_m = m;
            add_level(m, at, live);
            if (std::cmp_equal(levels_.size(), k)) return;
        }
    }

    [[nodiscard]] std::span<const Range> ranges(std::size_t level) const {
        return std::span(ranges_).subspan(level * shards_.size(), shards_.size());
    }

    void count_level(std::size_t level) {
        counts_.clear();
        counts_.add(shards_, ranges(level));
        if (const std::size_t live = levels_[level].live; live != no_live)
            live_->for_each_token(live_->levels()[live],
                                  [&](const Continuation& token, std::uint32_t raw) {
                                      counts_.add(token.code, raw);
                                  });
    }

    // The next wider level: it has every code that the one before had.
    void count_again(std::size_t level) {
        before_.assign(counts_.seen().begin(), counts_.seen().end());
        count_level(level);
        for (const std::uint32_t code : before_)
            if (counts_[code] == 0) throw_corrupt("rank_blocks");
    }

    // Are all rows of the levels among 64?
    [[nodiscard]] bool is_narrow() const noexcept {
        return shards_.size() == 1 && live_ == nullptr && parameters_.floor == 0.0 &&
               ranges_.back().size() <= 64 && !shards_[0].is_compact();
    }

    // weigh, where a token's rows are the bits of a word and its counts are counts of bits.
    void weigh_narrow(Weights& weights)
        requires(sizeof(Code) == 1)
    {
        const Shard<Code>& shard = shards_[0];
        const Row first = ranges_.back().begin;
        const std::size_t n_levels = levels_.size();
        std::array<std::uint64_t, 64> rows;  // of each level
        for (std::size_t i = 0; i < n_levels; ++i) {
            const Range range = ranges_[i];
            rows[i] = low_bits(range.size()) << (range.begin - first);
            if (shard.has_end(range)) rows[i] &= ~(std::uint64_t{1} << (shard.end_row() - first));
        }
        std::array<std::uint32_t, 64> codes;
        std::size_t n = 0;
        for (std::uint64_t rest = rows[n_levels - 1]; rest != 0; ++n) {
            const Code code = shard.next()[first + static_cast<Row>(std::countr_zero(rest))];
            if (code >= shard.n_codes()) throw_corrupt("next");
            const std::uint64_t found = match64(shard.next() + first, code);
            rest &= ~found;
            double weight = 0.0;
            double level_weight = 1.0;
            for (std::size_t i = 0; i < n_levels; ++i) {
                const double scale =
                    parameters_.normalise ? static_cast<double>(levels_[i].m) : 1.0;
                weight += level_weight * (static_cast<double>(count_bits(found & rows[i])) / scale);
                level_weight *= parameters_.decay;
            }
            codes[n] = code;
            weights.of[code] = weight;
        }
        // Each code to its place, without a branch.
        weights.codes.resize(n);
        for (std::size_t i = 0; i < n; ++i) {
            std::size_t place = 0;
            for (std::size_t j = 0; j < n; ++j) place += codes[j] < codes[i] ? 1 : 0;
            weights.codes[place] = codes[i];
        }
    }

    // From the counts of the level before, whose ranges lie in those of this one.
    void count_further(std::size_t level) {
        for (std::size_t s = 0; s < shards_.size(); ++s) {
            const Range range = ranges(level)[s];
            Range counted = ranges(level - 1)[s];
            if (counted.empty()) counted = {range.begin, range.begin};
            for (const Range more :
                 {Range{range.begin, counted.begin}, Range{counted.end, range.end}})
                if (!more.empty()) counts_.add(shards_[s], more);
        }
    }

    void find_known() {
        if (!known_.empty()) return;
        known_.assign(n_codes_of(shards_), 0);
        Histogram all(n_codes_of(shards_));
        std::vector<Range> ranges;
        for (const auto& shard : shards_) ranges.push_back(shard.all());
        all.add(shards_, std::span<const Range>(ranges));
        for (const std::uint32_t code : all.seen()) known_[code] = 1;
        n_known_ = all.seen().size();
        n_unseen_ = n_vocabulary() - std::min<std::uint64_t>(n_known_, n_vocabulary());
    }

    // What tokens with a weight have together where there is a floor: all that the others leave.
    [[nodiscard]] double share_above_floor() {
        find_known();
        std::size_t n_weighted = 0;
        for (const std::uint32_t code : counts_.seen()) n_weighted += known_[code];
        const std::size_t n_floors = n_known_ - n_weighted + (n_unseen_ != 0 ? 1 : 0);
        return 1.0 - static_cast<double>(n_floors) * parameters_.floor;
    }

    // Of a code with a weight, `share` of which it has by the levels: one that only a live text has
    // is still among the tokens that follow nothing in the corpus.
    [[nodiscard]] double above_floor(std::uint32_t code, double share) {
        return known_[code] != 0 ? share : share + unseen();
    }

    void add_floor(Weights& weights) {
        const double scale = share_above_floor();
        double total = 0.0;
        for (const std::uint32_t code : weights.codes) total += weights.of[code];
        for (const std::uint32_t code : weights.codes)
            weights.of[code] = above_floor(code, scale * (weights.of[code] / total));
        for (std::uint32_t code = 0; code < known_.size(); ++code)
            if (known_[code] != 0 && weights.of[code] == 0.0) weights.of[code] = parameters_.floor;
        weights.codes.clear();
        for (std::uint32_t code = 0; code < known_.size(); ++code)
            if (weights.of[code] != 0.0) weights.codes.push_back(code);
    }

    SbisParameters parameters_;
    const Context<Code>* context_ = nullptr;
    std::span<const Shard<Code>> shards_;
    const LiveText* live_ = nullptr;
    Histogram counts_;           // of the level last counted
    std::vector<Level> levels_;  // to mix
    std::vector<Range> ranges_;  // of the levels to mix, one a shard for each level
    std::vector<Range> scratch_;
    std::vector<std::uint32_t> before_;  // codes of the level counted before
    std::vector<std::uint8_t> known_;    // by code: does it follow anything? Filled for a floor.
    std::size_t n_known_ = 0;
    std::uint64_t n_unseen_ = 0;  // tokens of the vocabulary that follow nothing
};

}  // namespace infgram
