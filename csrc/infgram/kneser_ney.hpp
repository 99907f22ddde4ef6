// Interpolated Kneser-Ney of unbounded order (Kneser and Ney 1995, Chen and Goodman 1999, over all
// lengths as in Wood et al. 2009): every level gives its discounted continuation counts, and what
// it kept back goes to the next shorter one; behind the empty context lies the uniform
// distribution.
//
// The readable definition is src/infgram/estimators.py.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "infgram/alphabet.hpp"
#include "infgram/chain.hpp"
#include "infgram/context.hpp"
#include "infgram/continuation.hpp"
#include "infgram/corpus_tables.hpp"
#include "infgram/discounts.hpp"
#include "infgram/tables.hpp"

namespace infgram {

// What all that estimate by one fit share. Immutable but for the cache, which is thread-safe.
struct KneserNeyModel {
    // n_rows: of the index, cache_bytes: for tables of ranges that are not wide (tables.hpp).
    KneserNeyModel(const FixedPower& exponent, Discounts corpus_discounts,
                   std::optional<Discounts> live_discounts, std::uint64_t n_rows,
                   std::size_t cache_bytes)
        : power(exponent),
          corpus(std::move(corpus_discounts)),
          live(std::move(live_discounts)),
          cache(n_rows, cache_bytes) {}

    FixedPower power;
    Discounts corpus;               // for levels of the corpus
    std::optional<Discounts> live;  // for levels of the live text
    mutable TableCache cache;
};

template <class Code>
class KneserNey {
public:
    KneserNey(std::shared_ptr<const KneserNeyModel> model, std::uint32_t n_codes)
        : model_(std::move(model)), tables_(n_codes, model_->power, model_->cache) {}

    // One level in the order of interpolation: the longest first, live text before the corpus.
    struct Step {
        std::uint32_t n;
        const ContinuationStatistics* statistics;
        const ContinuationTable* table;  // nullptr: the live text's level `live`
        std::size_t live;
        LevelShape shape;
    };

    // From now on, counts as if positions of a shard were not in the corpus.
    void hold_out(HeldOut held_out, std::size_t shard, std::uint64_t n_rows) {
        tables_.hold_out(held_out, shard, n_rows);
    }

    // It looks at all levels.
    [[nodiscard]] static std::optional<std::size_t> n_levels() noexcept { return std::nullopt; }

    // Finds the levels of a context. The other methods answer for the context seen last.
    void look(const Context<Code>& context) {
        look(context.shards(), context.chains(), context.live());
    }

    // The same of bare chains, one a shard.
    void look(std::span<const Shard<Code>> shards, std::span<const Chain> chains,
              const LiveText* live = nullptr) {
        live_ = live;
        find_corpus_levels(shards, chains);
        find_live_levels();
        merge();
    }

    [[nodiscard]] std::span<const Step> steps() const noexcept { return steps_; }

    // The discounts of a step.
    [[nodiscard]] Discount discount(const Step& step) {
        const bool live = step.table == nullptr;
        return memo_(live ? *model_->live : model_->corpus, step.shape, live);
    }

    // What a step counted of a code, if anything.
    [[nodiscard]] std::optional<Continuation> token(const Step& step, std::uint32_t code) const {
        if (step.table == nullptr) return live_->token(live_->levels()[step.live], code);
        const Continuation* found = step.table->find(code);
        return found != nullptr ? std::optional(*found) : std::nullopt;
    }

    // The tokens of the alphabet: those that follow anything.
    [[nodiscard]] double n_known() const { return static_cast<double>(known_->tokens.size()); }

    // O(levels).
    [[nodiscard]] double prob(std::uint32_t code) {
        double prob = 0.0;
        double rest = 1.0;
        for (const Step& step : steps_) {
            const Discount kept = discount(step);
            if (const auto found = token(step, code)) prob += rest * share(*found, kept, step);
            rest *= kept_back(kept, step);
        }
        return known_->find(code) != nullptr ? prob + rest / n_known() : prob;
    }

    // Every token has a weight, so none is left alone and there is nothing to back off to.
    [[nodiscard]] static std::uint32_t only_code() { return Alphabet::unknown; }
    static bool back_off() { return false; }

    // Probabilities of all codes; they sum to one.
    void weigh(Weights& weights) {
        double rest = 1.0;
        for (const Step& step : steps_) {
            const Discount kept = discount(step);
            const auto add = [&](const Continuation& token) {
                weights.of[token.code] += rest * share(token, kept, step);
            };
            if (step.table != nullptr)
                std::ranges::for_each(step.table->tokens, add);
            else
                live_->for_each_token(
                    live_->levels()[step.live],
                    [&](const Continuation& token, std::uint32_t) { add(token); });
            rest *= kept_back(kept, step);
        }
        const double uniform = rest / n_known();
        for (const Continuation& token : known_->tokens) weights.of[token.code] += uniform;
        for (std::uint32_t code = 0; code < weights.of.size(); ++code)
            if (weights.of[code] != 0.0) weights.codes.push_back(code);
    }

    static double share(const Continuation& token, const Discount& kept, const Step& step) {
        return (token.count - kept[std::min(token.contexts, 3u) - 1]) / step.statistics->total;
    }
    static double kept_back(const Discount& kept, const Step& step) {
        double sum = 0.0;
        for (std::size_t k = 0; k < 3; ++k) sum += kept[k] * step.statistics->types[k];
        return sum / step.statistics->total;
    }

private:
    struct CorpusLevel {
        std::uint32_t n;
        const ContinuationTable* table;
    };

    void find_corpus_levels(std::span<const Shard<Code>> shards, std::span<const Chain> chains) {
        corpus_levels_.clear();
        tables_.clear();
        std::uint64_t last_m = 0;
        for_each_level(shards, chains, -1, ranges_,
                       [&](std::uint32_t n, std::uint64_t m, std::span<const Range> ranges) {
                           const auto* table = tables_.of(shards, n, ranges, m);
                           if (table->m <= last_m) return;
                           last_m = table->m;
                           corpus_levels_.push_back({n, table});
                       });
        known_ = tables_.of_everything(shards);
        corpus_levels_.push_back({0, known_});
    }

    void find_live_levels() {
        live_statistics_.clear();
        if (live_ == nullptr) return;
        for (std::size_t i = 0; i < live_->levels().size(); ++i)
            live_statistics_.push_back(live_->statistics(live_->levels()[i]));
    }

    // Both kinds of levels by falling n, each with its shape.
    void merge() {
        steps_.clear();
        std::size_t c = 0;
        std::size_t l = live_statistics_.size();
        while (c < corpus_levels_.size() || l > 0) {
            const bool is_live = l > 0 && (c == corpus_levels_.size() ||
                                           live_->levels()[l - 1].n >= corpus_levels_[c].n);
            if (is_live) {
                --l;
                const auto& statistics = live_statistics_[l];
                const auto n = live_->levels()[l].n;
                steps_.push_back({n, &statistics, nullptr, l,
                                  shape(n, statistics, l > 0 ? live_->levels()[l - 1].n : 0,
                                        l > 0 ? &live_statistics_[l - 1] : nullptr)});
            } else {
                const auto [n, table] = corpus_levels_[c++];
                const bool last = c == corpus_levels_.size();
                steps_.push_back({n, table, table, 0,
                                  shape(n, *table, last ? 0 : corpus_levels_[c].n,
                                        last ? nullptr : corpus_levels_[c].table)});
            }
        }
    }

    LevelShape shape(std::uint32_t n, const ContinuationStatistics& level, std::uint32_t n_shorter,
                     const ContinuationStatistics* shorter) {
        return {n,
                n_shorter,
                level.n_types(),
                shorter != nullptr ? shorter->n_types() : 0,
                level.m,
                corpus_levels_.front().n,
                live_ != nullptr ? live_->levels().back().n : 0,
                level.types[0] == level.n_types()};
    }

    std::shared_ptr<const KneserNeyModel> model_;
    CorpusTables<Code> tables_;
    DiscountMemo memo_;
    const LiveText* live_ = nullptr;
    const ContinuationTable* known_ = nullptr;  // of the empty context
    std::vector<CorpusLevel> corpus_levels_;    // longest first
    std::vector<ContinuationStatistics> live_statistics_;
    std::vector<Step> steps_;
    std::vector<Range> ranges_;
};

}  // namespace infgram
