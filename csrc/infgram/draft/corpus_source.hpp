// What an index says about a context. Indexes with codes of any width look the same from outside.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "infgram/chain.hpp"
#include "infgram/corpus_tables.hpp"
#include "infgram/draft/source.hpp"
#include "infgram/index.hpp"

namespace infgram::draft {

using Chains = std::vector<Chain>;  // of a context, one a shard

class CorpusSource {
public:
    virtual ~CorpusSource() = default;

    // What a context becomes when a token is read.
    virtual void advance(Chains& chains, std::uint32_t token) const = 0;
    [[nodiscard]] virtual Chains start() const = 0;

    // Finds the levels of a context.
    virtual void look(const Chains& chains) = 0;

    // As those of GrowingSource.
    [[nodiscard]] virtual std::optional<std::uint32_t> next() const noexcept = 0;
    [[nodiscard]] virtual std::uint32_t longest() const noexcept = 0;
    virtual double read(const Reach& reach, double rest, Candidates& candidates) = 0;
};

template <class Code>
class IndexSource final : public CorpusSource {
public:
    // Borrows the index. weight: how far it is believed, above 0 and at most 1; what it is not
    // believed goes to shorter levels.
    IndexSource(const Index<Code>& index, const FixedPower& power, Discounts discounts,
                double weight, std::size_t cache_bytes)
        : index_(index),
          discounts_(std::move(discounts)),
          weight_(weight),
          cache_(n_rows(index), cache_bytes),
          tables_(index.alphabet().n_codes(), power, cache_) {
        tables_.sample(most_rows);
        tables_.find_heaviest(n_heaviest);
        everything_.reserve(index.shards().size());
        for (const auto& shard : index.shards()) everything_.push_back(shard.all());
    }

    void advance(Chains& chains, std::uint32_t token) const override {
        index_.advance_chains(chains, token, window);
    }
    [[nodiscard]] Chains start() const override { return Chains(index_.shards().size()); }

    void look(const Chains& chains) override {
        levels_.clear();
        ranges_.clear();
        tables_.clear();
        at_ = 0;
        for_each_level(index_.shards(), chains, -1, scratch_,
                       [&](std::uint32_t n, std::uint64_t m, std::span<const Range> ranges) {
                           levels_.push_back({n, m});
                           ranges_.insert(ranges_.end(), ranges.begin(), ranges.end());
                       });
        std::uint64_t m = 0;
        for (const auto& shard : index_.shards()) m += shard.m(shard.all());
        levels_.push_back({0, m});
        ranges_.insert(ranges_.end(), everything_.begin(), everything_.end());
        table_ = table(0);
    }

    [[nodiscard]] std::optional<std::uint32_t> next() const noexcept override {
        return at_ != levels_.size() ? std::optional(levels_[at_].n) : std::nullopt;
    }
    [[nodiscard]] std::uint32_t longest() const noexcept override { return levels_.front().n; }

    double read(const Reach& reach, double rest, Candidates& candidates) override {
        const IndexLevel level = levels_[at_++];
        const ContinuationTable& read = *table_;
        const bool is_last = at_ == levels_.size();
        if (!is_last) table_ = table(at_);
        const std::uint32_t n_types = read.n_types();
        const Discount kept =
            memo_(discounts_,
                  {level.n, is_last ? 0 : levels_[at_].n, n_types, is_last ? 0 : table_->n_types(),
                   read.m, reach.corpus, reach.live, read.types[0] == n_types},
                  false);
        const double scale = weight_ * rest / read.total;
        const Support support{level.n, Origin::corpus};
        const auto add = [&](const Continuation& token) {
            if (token.code != boundary)
                candidates.add(index_.alphabet().token_id(token.code),
                               scale * discounted(token, kept), support);
        };
        if (n_types <= many_types) {
            std::ranges::for_each(read.tokens, add);
        } else {
            candidates.add_to_all([&](std::uint32_t id) {
                const std::uint32_t code = index_.alphabet().code(id);
                const Continuation* found = code != Alphabet::unknown ? read.find(code) : nullptr;
                return found != nullptr ? scale * discounted(*found, kept) : 0.0;
            });
            for (const std::uint32_t i : read.heaviest)
                if (const auto& token = read.tokens[i];
                    token.code != boundary &&
                    !candidates.has(index_.alphabet().token_id(token.code)))
                    add(token);
        }
        return 1.0 - weight_ * (1.0 - kept_back(kept, read));
    }

private:
    static constexpr std::uint32_t window = max_context;
    static constexpr std::uint32_t most_rows = 512;  // counted of a range: for speed

    static std::uint64_t n_rows(const Index<Code>& index) {
        std::uint64_t n = 0;
        for (const auto& shard : index.shards()) n += shard.n_rows();
        return n;
    }

    const ContinuationTable* table(std::size_t level) {
        const std::size_t n_shards = everything_.size();
        return tables_.of(index_.shards(), levels_[level].n,
                          std::span(ranges_).subspan(level * n_shards, n_shards), levels_[level].m);
    }

    const Index<Code>& index_;
    Discounts discounts_;
    double weight_;
    TableCache cache_;
    CorpusTables<Code> tables_;
    DiscountMemo memo_;
    std::vector<Range> everything_;   // of each shard
    std::vector<IndexLevel> levels_;  // longest first, the empty context last
    std::vector<Range> ranges_;       // of each level, one a shard
    std::vector<Range> scratch_;
    std::size_t at_ = 0;                        // the next level to be read
    const ContinuationTable* table_ = nullptr;  // its
};

}  // namespace infgram::draft
