// Interpolated Kneser-Ney of unbounded order (Kneser and Ney 1995, Chen and Goodman 1999, over all
// lengths as in Wood et al. 2009): every level gives its discounted continuation counts, and what
// it kept back goes to the next shorter one; behind the empty context lies the base, which also
// has a share for tokens that the corpus never had.
//
// The readable definition is src/infgram/models/estimators.py.
#pragma once

#include <algorithm>
#include <cmath>
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
    // n_vocabulary: tokens that there are, the end of text among them. n_rows: of the index,
    // cache_bytes: for tables of ranges that are not wide (tables.hpp). wide_tables: counted with
    // this exponent, or nullptr.
    KneserNeyModel(const FixedPower& exponent, Discounts corpus_discounts,
                   std::optional<Discounts> live_discounts, std::uint64_t vocabulary,
                   std::uint64_t n_rows, std::size_t cache_bytes,
                   std::shared_ptr<const WideTables> wide_tables = nullptr)
        : power(exponent),
          corpus(std::move(corpus_discounts)),
          live(std::move(live_discounts)),
          n_vocabulary(vocabulary),
          cache(n_rows, cache_bytes),
          wide(std::move(wide_tables)) {}

    FixedPower power;
    Discounts corpus;               // for levels of the corpus
    std::optional<Discounts> live;  // for levels of the live text
    std::uint64_t n_vocabulary;
    mutable TableCache cache;
    std::shared_ptr<const WideTables> wide;
};

template <class Code>
class KneserNey {
public:
    using Parameters = std::shared_ptr<const KneserNeyModel>;
    // Which contexts of a shard another one has, too, its columns do not tell.
    static constexpr bool counts_apart = true;

    // Borrows the shards.
    KneserNey(Parameters model, std::span<const Shard<Code>> shards)
        : model_(std::move(model)),
          corpus_(shards, model_->power, model_->cache, model_->wide.get()) {}

    // Of the counts of a live text, if there may be one.
    static const FixedPower& live_power(const Parameters& model) {
        if (!model->live) throw InvalidParameter("these discounts were fitted without a live text");
        return model->power;
    }

    // From now on, counts as if positions of a shard were not in the corpus; `widest`: in ranges of
    // up to so many rows.
    void hold_out(HeldOut held_out, std::size_t shard, std::uint64_t n_rows,
                  std::optional<std::uint32_t> widest = {}) {
        corpus_.tables().hold_out(held_out, shard, n_rows, widest);
    }

    // It looks at all levels.
    [[nodiscard]] static std::optional<std::size_t> n_levels() noexcept { return std::nullopt; }

    // Finds the levels of a context. The other methods answer for the context seen last.
    void look(const Context<Code>& context) {
        look(context.chains(), context.live(), context.window() < max_context);
    }
    // The same, but levels are read when `propose` and `accepts` need them. For these two alone.
    void begin(const Context<Code>& context) {
        begin(context.chains(), context.live(), context.window() < max_context);
    }

    // The same of bare chains, one a shard. cut: nobody knows how long the longest level would be,
    // so each is read as if it were that; a context then adds one level to what its suffixes say.
    void look(std::span<const Chain> chains, const LiveText* live = nullptr, bool cut = false) {
        begin(chains, live, cut);
        while (read()) continue;
    }

    // The longest first; the last one is the corpus's empty context.
    [[nodiscard]] std::span<const Step> steps() const noexcept { return steps_; }

    [[nodiscard]] Discount discount(const Step& step) const noexcept {
        return (step.is_live() ? *model_->live : model_->corpus)(step.shape);
    }

    // What a step counted of a code, if anything.
    [[nodiscard]] std::optional<Continuation> token(const Step& step, std::uint32_t code) const {
        return step.is_live() ? live_.token(step, code) : corpus_.token(step, code);
    }

    // The tokens of the alphabet: those that follow anything.
    [[nodiscard]] double n_known() const { return static_cast<double>(known().tokens.size()); }
    [[nodiscard]] std::uint64_t n_vocabulary() const noexcept { return model_->n_vocabulary; }

    // Of a code, or of any token that the corpus never had (Alphabet::unknown). O(levels).
    [[nodiscard]] double prob(std::uint32_t code) {
        live_.prefetch(code);
        double prob = 0.0;
        double rest = 1.0;
        for (const Step& step : steps_) {
            const Discount kept = discount(step);
            if (const auto found = token(step, code))
                prob += rest * (discounted(*found, kept) / step.statistics->total);
            rest *= step.kept_back(kept);
        }
        const Base last = base();
        return prob + rest * (known().find(code) != nullptr ? last.known : last.unseen);
    }

    // The code at which a number of [0, 1) falls when what each level gives to its tokens stands in
    // a row, the longest level first, and the base's share at last: a draw from the law.
    // Alphabet::unknown for what follows nothing. Reads no more levels than the number passes.
    [[nodiscard]] std::uint32_t propose(double number) {
        double rest = 1.0;
        for (std::size_t i = 0; has(i); ++i) {
            const Step& step = steps_[i];
            const Discount kept = discount(step);
            const double kept_back = step.kept_back(kept);
            const double own = rest * (1.0 - kept_back);
            if (number < own) return at(step, kept, rest / step.statistics->total, number);
            number -= own;
            rest *= kept_back;
        }
        const Base last = base();
        const auto& tokens = known().tokens;
        if (tokens.front().code != boundary) number -= rest * last.unseen;  // where none ends
        const double place = number / (rest * last.known);
        if (!(place >= 0.0 && place < static_cast<double>(tokens.size()))) return Alphabet::unknown;
        return tokens[static_cast<std::size_t>(place)].code;
    }

    // Whether a number lies below prob(code)^exponent, exponent above 0. Reads no more levels than
    // it takes to tell.
    [[nodiscard]] bool accepts(std::uint32_t code, double number, double exponent) {
        double prob = 0.0;
        double rest = 1.0;
        for (std::size_t i = 0; has(i); ++i) {
            const Step& step = steps_[i];
            const Discount kept = discount(step);
            if (const auto found = token(step, code))
                prob += rest * (discounted(*found, kept) / step.statistics->total);
            rest *= step.kept_back(kept);
            if (i + 1 < steps_.size()) continue;
            if (number < std::pow(prob, exponent)) return true;
            if (number >= std::pow(prob + rest, exponent)) return false;
        }
        return number < std::pow(prob + rest * base().known, exponent);
    }

    // Of each token that follows nothing. O(levels).
    [[nodiscard]] double unseen() { return prob(Alphabet::unknown); }

    // Every token known has a weight, so none is left alone and there is nothing to back off to.
    [[nodiscard]] static std::uint32_t only_code() { return Alphabet::unknown; }
    static bool back_off() { return false; }

    // Probabilities of the codes known: with those of all others they sum to one. Returns that of
    // each token that follows nothing.
    double weigh(Weights& weights) {
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
        const Base last = base();
        const double base_share = rest * last.known;
        for (const Continuation& token : known().tokens) weights.of[token.code] += base_share;
        // A live text may end documents where the corpus, a single one, does not.
        if (weights.of[boundary] != 0.0 && known().find(boundary) == nullptr)
            weights.of[boundary] += rest * last.unseen;
        for (std::uint32_t code = 0; code < weights.of.size(); ++code)
            if (weights.of[code] != 0.0) weights.codes.push_back(code);
        return rest * last.unseen;
    }

private:
    void begin(std::span<const Chain> chains, const LiveText* live, bool cut) {
        corpus_.look(chains);
        live_.look(live);
        reach_ = {corpus_.longest(), live_.longest()};
        cut_ = cut;
        steps_.clear();
    }

    // Reads the next level; false behind the last. The live text's before the corpus's.
    bool read() {
        const auto n = corpus_.next();
        if (!n) return false;
        const auto n_live = live_.next();
        Step& step = steps_.emplace_back();
        if (n_live && *n_live >= *n)
            live_.read(reach_, step);
        else
            corpus_.read(cut_ ? Reach{*n, reach_.live} : reach_, step);
        return true;
    }
    [[nodiscard]] bool has(std::size_t step) { return step < steps_.size() || read(); }

    // The token of a level at which a number falls; scale: of what the level gives.
    [[nodiscard]] std::uint32_t at(const Step& step, const Discount& kept, double scale,
                                   double number) const {
        std::uint32_t code = Alphabet::unknown;
        double reached = 0.0;
        const auto pass = [&](const Continuation& token) {
            const double given = scale * discounted(token, kept);
            if (given > 0.0 && (code == Alphabet::unknown || reached <= number)) code = token.code;
            reached += given;
        };
        corpus_.for_each_token(step, pass);
        return code;
    }

    // What every token has at last: a share of it is the whole vocabulary's, the rest is of those
    // known. Each of these was new once, and those of one context would be again if that were left
    // out, as one token is that nobody has met: these events are counted, as KenLM counts <unk> as
    // one more token of its uniform distribution.
    struct Base {
        double known;
        double unseen;
    };
    [[nodiscard]] Base base() const noexcept {
        const double n_new = 1.0 + known().types[0];
        const double share = n_new / (n_known() + n_new);
        const double unseen = share / static_cast<double>(n_vocabulary());
        return {(1.0 - share) / n_known() + unseen, unseen};
    }

    [[nodiscard]] const ContinuationTable& known() const noexcept { return *steps_.back().table; }

    Parameters model_;
    CorpusLevels<Code> corpus_;
    LiveLevels live_;
    std::vector<Step> steps_;
    Reach reach_;
    bool cut_ = false;
};

}  // namespace infgram
