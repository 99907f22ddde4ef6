// Interpolated Kneser-Ney of unbounded order (Kneser and Ney 1995, Chen and Goodman 1999, over all
// lengths as in Wood et al. 2009): every level gives its discounted continuation counts, and what
// it kept back goes to the next shorter one; behind the empty context lies the uniform
// distribution.
//
// The readable definition is src/infgram/models/estimators.py.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "infgram/contexts/chain.hpp"
#include "infgram/contexts/context.hpp"
#include "infgram/contexts/continuation.hpp"
#include "infgram/models/discounts.hpp"
#include "infgram/models/steps.hpp"
#include "infgram/models/tables.hpp"
#include "infgram/rows/alphabet.hpp"

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
    using Parameters = std::shared_ptr<const KneserNeyModel>;

    // Borrows the shards.
    KneserNey(Parameters model, std::span<const Shard<Code>> shards)
        : model_(std::move(model)), corpus_(shards, model_->power, model_->cache) {}

    // Of the counts of a live text, if there may be one.
    static const FixedPower& live_power(const Parameters& model) {
        if (!model->live) throw InvalidParameter("these discounts were fitted without a live text");
        return model->power;
    }

    // From now on, counts as if positions of a shard were not in the corpus; `exactly`: wide ranges
    // lose them, too.
    void hold_out(HeldOut held_out, std::size_t shard, std::uint64_t n_rows, bool exactly = false) {
        corpus_.tables().hold_out(held_out, shard, n_rows, exactly);
    }

    // It looks at all levels.
    [[nodiscard]] static std::optional<std::size_t> n_levels() noexcept { return std::nullopt; }

    // Finds the levels of a context. The other methods answer for the context seen last.
    void look(const Context<Code>& context) { look(context.chains(), context.live()); }

    // The same of bare chains, one a shard.
    void look(std::span<const Chain> chains, const LiveText* live = nullptr) {
        corpus_.look(chains);
        live_.look(live);
        const Reach reach{corpus_.longest(), live_.longest()};
        steps_.clear();
        while (const auto n = corpus_.next()) {  // the live text before the corpus
            const auto n_live = live_.next();
            Step& step = steps_.emplace_back();
            if (n_live && *n_live >= *n)
                live_.read(reach, step);
            else
                corpus_.read(reach, step);
        }
    }

    // The longest first; the last one is the corpus's empty context.
    [[nodiscard]] std::span<const Step> steps() const noexcept { return steps_; }

    [[nodiscard]] Discount discount(const Step& step) {
        return memo_(step.is_live() ? *model_->live : model_->corpus, step.shape, step.is_live());
    }

    // What a step counted of a code, if anything.
    [[nodiscard]] std::optional<Continuation> token(const Step& step, std::uint32_t code) const {
        return step.is_live() ? live_.token(step, code) : corpus_.token(step, code);
    }

    // The tokens of the alphabet: those that follow anything.
    [[nodiscard]] double n_known() const { return static_cast<double>(known().tokens.size()); }

    // O(levels).
    [[nodiscard]] double prob(std::uint32_t code) {
        double prob = 0.0;
        double rest = 1.0;
        for (const Step& step : steps_) {
            const Discount kept = discount(step);
            if (const auto found = token(step, code))
                prob += rest * (discounted(*found, kept) / step.statistics->total);
            rest *= step.kept_back(kept);
        }
        return known().find(code) != nullptr ? prob + rest / n_known() : prob;
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
                weights.of[token.code] += rest * (discounted(token, kept) / step.statistics->total);
            };
            if (step.is_live())
                live_.for_each_token(step, add);
            else
                corpus_.for_each_token(step, add);
            rest *= step.kept_back(kept);
        }
        const double uniform = rest / n_known();
        for (const Continuation& token : known().tokens) weights.of[token.code] += uniform;
        for (std::uint32_t code = 0; code < weights.of.size(); ++code)
            if (weights.of[code] != 0.0) weights.codes.push_back(code);
    }

private:
    [[nodiscard]] const ContinuationTable& known() const noexcept { return *steps_.back().table; }

    Parameters model_;
    CorpusLevels<Code> corpus_;
    LiveLevels live_;
    DiscountMemo memo_;
    std::vector<Step> steps_;
};

}  // namespace infgram
