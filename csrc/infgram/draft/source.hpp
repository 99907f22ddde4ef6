// Where drafts come from: a source tells what followed a context, level by level, as interpolated
// Kneser-Ney reads them (steps.hpp). Indexes of any width look the same from outside.
//
// Thread-safety: none.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "infgram/contexts/any.hpp"
#include "infgram/contexts/chain.hpp"
#include "infgram/draft/candidates.hpp"
#include "infgram/models/steps.hpp"

namespace infgram::draft {

using Chains = std::vector<Chain>;  // of a context, one a shard

// Token ids as the codes of a text that grows, where 0 is the boundary.
inline std::uint32_t live_code(std::uint32_t token) noexcept { return token + 1; }

// Levels of a context, to be read one after another, the longest first.
class Source {
public:
    virtual ~Source() = default;
    // Tokens of the next level; nothing when all were read.
    [[nodiscard]] virtual std::optional<std::uint32_t> next() const noexcept = 0;
    [[nodiscard]] virtual std::uint32_t longest() const noexcept = 0;
    // Reads the next level: `rest` times its probabilities; returns the share that it keeps back.
    virtual double read(const Reach& reach, double rest, Candidates& candidates) = 0;
};

// A level with more next tokens adds to candidates there are, and names its heaviest alone.
inline constexpr std::uint32_t many_types = 24;
inline constexpr std::size_t n_heaviest = 10;

// Adds what a step gives to each of its tokens, times `scale`. token_of and code_of turn codes into
// token ids and back.
template <class Levels, class TokenOf, class CodeOf>
void give(const Levels& levels, const Step& step, const Discount& kept, double scale, Origin origin,
          TokenOf&& token_of, CodeOf&& code_of, Candidates& candidates) {
    const Support support{step.n, origin};
    const auto add = [&](const Continuation& token) {
        if (token.code != boundary)
            candidates.add(token_of(token.code), scale * discounted(token, kept), support);
    };
    if (step.shape.n_types <= many_types) return levels.for_each_token(step, add);
    candidates.add_to_all([&](std::uint32_t id) {
        const auto found = levels.token(step, code_of(id));
        return found ? scale * discounted(*found, kept) : 0.0;
    });
    if (step.is_live()) return;
    for (const std::uint32_t i : step.table->heaviest)
        if (const auto& token = step.table->tokens[i];
            token.code != boundary && !candidates.has(token_of(token.code)))
            add(token);
}

// A text that grows: the request's own, or what was written before it.
class LiveSource final : public Source {
public:
    // Borrows the discounts.
    LiveSource(Origin origin, const Discounts& discounts)
        : origin_(origin), discounts_(discounts) {}

    // Finds the levels of what the text's end becomes with more codes behind it.
    void look(const LiveText& text, std::span<const std::uint32_t> more) {
        levels_.look(&text, more);
    }

    [[nodiscard]] std::optional<std::uint32_t> next() const noexcept override {
        return levels_.next();
    }
    [[nodiscard]] std::uint32_t longest() const noexcept override { return levels_.longest(); }

    double read(const Reach& reach, double rest, Candidates& candidates) override {
        Step step;
        levels_.read(reach, step);
        const Discount kept = discounts_(step.shape);
        give(
            levels_, step, kept, rest / step.statistics->total, origin_,
            [](std::uint32_t code) { return code - 1; }, live_code, candidates);
        return step.kept_back(kept);
    }

private:
    Origin origin_;
    const Discounts& discounts_;
    LiveLevels levels_;
};

class CorpusSource : public Source {
public:
    // What a context becomes when a token is read.
    virtual void advance(Chains& chains, std::uint32_t token) const = 0;
    [[nodiscard]] virtual Chains start() const = 0;
    // Finds the levels of a context, and begins to read them: in two, so that memory brings what
    // they have meanwhile.
    virtual void find(const Chains& chains) = 0;
    virtual void begin() = 0;
};

template <class Code>
class IndexSource final : public CorpusSource {
public:
    // weight: how far it is believed, above 0 and at most 1; what it is not believed goes to
    // shorter levels.
    IndexSource(Owner<Code> owner, const FixedPower& power, Discounts discounts, double weight,
                std::size_t cache_bytes)
        : owner_(std::move(owner)),
          discounts_(std::move(discounts)),
          weight_(weight),
          cache_(index().n_rows(), cache_bytes),
          levels_(index().shards(), power, cache_) {
        levels_.tables().sample(most_rows);
        levels_.tables().find_heaviest(n_heaviest, many_types);
    }

    void advance(Chains& chains, std::uint32_t token) const override {
        index().advance_chains(chains, token, max_context);
    }
    [[nodiscard]] Chains start() const override { return Chains(index().shards().size()); }
    void find(const Chains& chains) override { levels_.find(chains); }
    void begin() override { levels_.begin(); }

    [[nodiscard]] std::optional<std::uint32_t> next() const noexcept override {
        return levels_.next();
    }
    [[nodiscard]] std::uint32_t longest() const noexcept override { return levels_.longest(); }

    double read(const Reach& reach, double rest, Candidates& candidates) override {
        Step step;
        levels_.read(reach, step);
        const Discount kept = discounts_(step.shape);
        const Alphabet& alphabet = index().alphabet();
        give(
            levels_, step, kept, weight_ * rest / step.statistics->total, Origin::corpus,
            [&](std::uint32_t code) { return alphabet.token_id(code); },
            [&](std::uint32_t id) { return alphabet.code(id); }, candidates);
        return 1.0 - weight_ * (1.0 - step.kept_back(kept));
    }

private:
    static constexpr std::uint32_t most_rows = 512;  // counted of a range: for speed

    [[nodiscard]] const Index<Code>& index() const noexcept { return owner_->index; }

    Owner<Code> owner_;
    Discounts discounts_;
    double weight_;
    TableCache cache_;
    CorpusLevels<Code> levels_;
};

inline std::unique_ptr<CorpusSource> source_of(const AnyIndex& index, const FixedPower& power,
                                               Discounts discounts, double weight,
                                               std::size_t cache_bytes) {
    return index.visit([&]<class Code>(const Owner<Code>& of) -> std::unique_ptr<CorpusSource> {
        return std::make_unique<IndexSource<Code>>(of, power, std::move(discounts), weight,
                                                   cache_bytes);
    });
}

}  // namespace infgram::draft
