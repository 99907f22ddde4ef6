// Fitting Kneser-Ney's discounts on the index's own text, by leaving blocks of it out.
//
// A block is scored as if it, and what stands around it, were not in the corpus: rows whose
// positions lie there are not counted. What every level had to say about each token becomes a few
// numbers (Sample), and the tables of discounts.hpp are then fitted to them by gradient descent on
// the mean negative log probability, which is cheap: no text is looked at again.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <future>
#include <memory>
#include <numbers>
#include <span>
#include <utility>
#include <vector>

#include "infgram/contexts/any.hpp"
#include "infgram/contexts/context.hpp"
#include "infgram/contexts/side_by_side.hpp"
#include "infgram/models/kneser_ney.hpp"
#include "infgram/rows/prefetch.hpp"

namespace infgram {

// What one level says about the token that came.
struct SampleLevel {
    float count;  // of the token, 0 if it never followed
    float total;  // of all counts
    std::array<float, 3> types;
    std::uint32_t contexts;  // class of the token: 0 (never followed), 1, 2, 3
    std::uint32_t shape;     // in Samples::shapes
};

// The rows as one number, different for different ones; also those of the live text's tables, which
// stand behind.
inline std::uint64_t packed(const DiscountRows& rows) noexcept {
    static_assert(2 * n_discount_rows < 1u << 12 && n_discount_tables == 5);
    std::uint64_t key = 0;
    for (const std::uint32_t row : rows) key = key << 12 | row;
    return key;
}

// Levels of many tokens: token i has levels [offsets[i], offsets[i + 1]), the shortest first.
struct Samples {
    std::vector<SampleLevel> levels;
    std::vector<std::size_t> offsets{0};
    std::vector<float> uniform;        // 1 / alphabet, by token
    std::vector<DiscountRows> shapes;  // different ones: far fewer than levels

    // There will be so many levels and tokens.
    void reserve(std::size_t n_levels, std::size_t n_tokens) {
        levels.reserve(n_levels);
        offsets.reserve(n_tokens + 1);
        uniform.reserve(n_tokens);
    }

    void append(const Samples& other) {
        const std::size_t first = levels.size();
        std::vector<std::uint32_t> own;
        own.reserve(other.shapes.size());
        for (const DiscountRows& rows : other.shapes) own.push_back(shape(rows));
        for (SampleLevel level : other.levels) {
            level.shape = own[level.shape];
            levels.push_back(level);
        }
        for (const std::size_t offset : std::span(other.offsets).subspan(1))
            offsets.push_back(first + offset);
        uniform.insert(uniform.end(), other.uniform.begin(), other.uniform.end());
    }

    // Asks memory for the levels of a token, if there is one.
    void prefetch(std::size_t token) const noexcept {
        constexpr std::size_t in_a_line = 64 / sizeof(SampleLevel);
        if (token + 1 >= offsets.size()) return;
        for (std::size_t i = offsets[token]; i < offsets[token + 1]; i += in_a_line)
            infgram::prefetch(&levels[i]);
    }

    [[nodiscard]] std::uint32_t shape(const DiscountRows& rows) {
        const std::uint64_t key = packed(rows);
        Known& known = place(key);
        if (known.key == key) return known.shape;
        const auto shape = static_cast<std::uint32_t>(shapes.size());
        known = {key, shape};
        shapes.push_back(rows);
        if (2 * shapes.size() > known_.size()) grow();
        return shape;
    }

    // The shapes that tokens t have for which t % n_parts == part, for each part.
    [[nodiscard]] std::vector<std::vector<std::uint32_t>> shapes_of_parts(
        std::size_t n_parts) const {
        std::vector<std::vector<std::uint32_t>> found(n_parts);
        std::vector<std::size_t> met(shapes.size(), n_parts);
        for (std::size_t part = 0; part < n_parts; ++part)
            for (std::size_t t = part; t + 1 < offsets.size(); t += n_parts)
                for (std::size_t i = offsets[t]; i < offsets[t + 1]; ++i)
                    if (const std::uint32_t s = levels[i].shape; met[s] != part) {
                        met[s] = part;
                        found[part].push_back(s);
                    }
        return found;
    }

private:
    struct Known {
        std::uint64_t key = ~std::uint64_t{0};
        std::uint32_t shape = 0;
    };
    // Where a shape stands in the table, or is to stand.
    [[nodiscard]] Known& place(std::uint64_t key) noexcept {
        const std::size_t last = known_.size() - 1;
        std::size_t at = (key * 0x9e3779b97f4a7c15ULL) >> 32;
        while (known_[at & last].key != key && known_[at & last].key != Known{}.key) ++at;
        return known_[at & last];
    }
    void grow() {
        const std::vector<Known> before =
            std::exchange(known_, std::vector<Known>(2 * known_.size()));
        for (const Known& known : before)
            if (known.key != Known{}.key) place(known.key) = known;
    }

    std::vector<Known> known_ = std::vector<Known>(std::size_t{1} << 12);  // open addressing
};

// Positions of a shard.
struct Block {
    std::size_t shard = 0;
    Position begin = 0;
    Position end = 0;
};

// Inside a long repetition every length is a level: a token there takes long to look at, and tells
// nothing about other text.
template <class Code>
bool is_repetition(const Context<Code>& context) {
    constexpr std::size_t max_levels = 64;
    return std::ranges::any_of(context.chains(),
                               [](const Chain& chain) { return chain.size() > max_levels; });
}

// What the levels of a block's tokens say, without and with a live text.
struct BlockSamples {
    Samples corpus;
    Samples adapting;
};

// Contexts may begin in the `guard` tokens before the block, and no row counts whose position lies
// in the block or in the guard around it. The live text begins with the block's contexts. Every
// so many-th token is looked at: neighbours tell much the same.
template <class Code>
BlockSamples sample_block(std::span<const Shard<Code>> shards, KneserNey<Code>& estimator,
                          Block block, std::uint32_t guard, std::uint32_t every,
                          const FixedPower& power) {
    BlockSamples samples;
    const Shard<Code>& shard = shards[block.shard];
    const auto n_rows = shard.n_rows();
    const Position first = block.begin - std::min(block.begin - 1, std::min(guard, max_context));
    const HeldOut held_out{
        block.begin - std::min(block.begin - 1, guard),
        static_cast<Position>(std::min<std::uint64_t>(std::uint64_t{block.end} + guard, n_rows))};
    estimator.hold_out(held_out, block.shard, n_rows);
    Context<Code> context(shards, std::vector<Chain>(shards.size()), max_context,
                          LiveText(power, block.end - first + 1, LiveText::model_window));
    for (Position p = first; p < block.end; context.read(shard.code_at(p++))) {
        if (p < block.begin || (p - block.begin) % every != 0 || is_repetition(context)) continue;
        estimator.look(context);
        const auto steps = estimator.steps();
        for (std::size_t i = steps.size(); i-- > 0;) {
            const auto& step = steps[i];
            SampleLevel level{};
            level.total = static_cast<float>(step.statistics->total);
            for (std::size_t k = 0; k < 3; ++k)
                level.types[k] = static_cast<float>(step.statistics->types[k]);
            if (const auto token = estimator.token(step, shard.code_at(p))) {
                level.count = static_cast<float>(token->count);
                level.contexts = std::min(token->contexts, 3u);
            }
            DiscountRows rows = discount_rows(step.shape);
            if (step.is_live()) {  // the tables of the live text stand behind
                for (auto& row : rows) row += n_discount_rows;
            } else {
                LevelShape alone = step.shape;
                alone.n_live = 0;
                level.shape = samples.corpus.shape(discount_rows(alone));
                samples.corpus.levels.push_back(level);
            }
            level.shape = samples.adapting.shape(rows);
            samples.adapting.levels.push_back(level);
        }
        for (Samples* each : {&samples.corpus, &samples.adapting}) {
            each->offsets.push_back(each->levels.size());
            each->uniform.push_back(static_cast<float>(1.0 / estimator.n_known()));
        }
    }
    return samples;
}

// The samples of all blocks, in their order, by several threads.
template <class Code>
BlockSamples sample_blocks(std::span<const Shard<Code>> shards,
                           const std::shared_ptr<const KneserNeyModel>& model,
                           std::span<const Block> blocks, std::uint32_t guard, std::uint32_t every,
                           unsigned n_threads) {
    std::vector<BlockSamples> found(blocks.size());
    std::atomic<std::size_t> next = 0;
    const auto work = [&] {
        KneserNey<Code> estimator(model, shards);
        for (std::size_t i; (i = next++) < blocks.size();)
            found[i] = sample_block<Code>(shards, estimator, blocks[i], guard, every, model->power);
    };
    std::vector<std::future<void>> threads;
    for (unsigned t = 0; t < n_threads; ++t) threads.push_back(in_background(work));
    for (auto& thread : threads) thread.get();  // throws what the thread threw
    BlockSamples samples;
    for (Samples BlockSamples::* kind : {&BlockSamples::corpus, &BlockSamples::adapting}) {
        std::size_t n_levels = 0;
        std::size_t n_tokens = 0;
        for (const BlockSamples& block : found) {
            n_levels += (block.*kind).levels.size();
            n_tokens += (block.*kind).uniform.size();
        }
        (samples.*kind).reserve(n_levels, n_tokens);
    }
    for (BlockSamples& block : found) {
        samples.corpus.append(block.corpus);
        samples.adapting.append(block.adapting);
        block = {};
    }
    return samples;
}

struct Fit {
    std::vector<double> tables;  // n_discount_rows rows of three, twice where the text adapts
    double nats;                 // per token, on the samples
};

// Adam (Kingma and Ba 2015) from textbook discounts. Deterministic.
inline Fit fit_discounts(const Samples& samples, bool adapt, int n_steps, double pull) {
    const std::size_t n = std::size_t{3} * n_discount_rows * (adapt ? 2 : 1);
    const std::size_t n_tokens = samples.offsets.size() - 1;
    // A step looks at every so many-th token: at about as many whatever their number.
    constexpr std::size_t tokens_a_step = 6000;
    const std::size_t n_parts = std::max<std::size_t>(n_tokens / tokens_a_step, 1);
    const auto shapes_of = samples.shapes_of_parts(n_parts);
    std::vector<double> prior = same_discounts(textbook_log_odds);
    if (adapt) {  // a live level starts as one that hardly counts
        const std::vector<double> live = same_discounts({2.0, 2.0, 2.0});
        prior.insert(prior.end(), live.begin(), live.end());
    }
    std::vector<double> tables = prior;
    std::vector<double> gradient(n);
    std::vector<double> mean(n, 0.0);
    std::vector<double> square(n, 0.0);
    struct alignas(64) OfShape {
        Discount kept;     // as a share of 1, 2, 3
        Discount by_kept;  // slope of the loss
    };
    std::vector<OfShape> of_shape(samples.shapes.size());
    std::vector<double> below;
    std::vector<double> rest;
    double nats = 0.0;
    for (int step = 1; step <= n_steps && n_tokens != 0; ++step) {
        const std::size_t part = static_cast<std::size_t>(step) % n_parts;
        for (const std::uint32_t s : shapes_of[part])
            for (std::size_t k = 0; k < 3; ++k) {
                double z = 0.0;
                for (const std::uint32_t row : samples.shapes[s])
                    z += tables[std::size_t{row} * 3 + k];
                of_shape[s].kept[k] = 1.0 / (1.0 + std::exp(-z));
                of_shape[s].by_kept[k] = 0.0;
            }
        nats = 0.0;
        std::size_t n_seen = 0;
        for (std::size_t t = part; t < n_tokens; t += n_parts, ++n_seen) {
            const auto levels =
                std::span(samples.levels)
                    .subspan(samples.offsets[t], samples.offsets[t + 1] - samples.offsets[t]);
            samples.prefetch(t + 4 * n_parts);
            below.resize(levels.size());
            rest.resize(levels.size());
            double prob = samples.uniform[t];
            for (std::size_t i = 0; i < levels.size(); ++i) {
                const SampleLevel& level = levels[i];
                const Discount& d = of_shape[level.shape].kept;
                rest[i] = d[0] * level.types[0] + d[1] * 2.0 * level.types[1] +
                          d[2] * 3.0 * level.types[2];
                below[i] = prob;
                const double own = level.contexts == 0
                                       ? 0.0
                                       : level.count - level.contexts * d[level.contexts - 1];
                prob = (own + rest[i] * prob) / level.total;
            }
            nats -= std::log(prob);
            double slope = -1.0 / prob;
            for (std::size_t i = levels.size(); i-- > 0;) {
                const SampleLevel& level = levels[i];
                Discount& by = of_shape[level.shape].by_kept;
                slope /= level.total;
                for (std::size_t k = 0; k < 3; ++k)
                    by[k] += slope * static_cast<double>(k + 1) * level.types[k] * below[i];
                if (level.contexts != 0) by[level.contexts - 1] -= slope * level.contexts;
                slope *= rest[i];
            }
        }
        std::ranges::fill(gradient, 0.0);
        for (const std::uint32_t s : shapes_of[part])
            for (std::size_t k = 0; k < 3; ++k) {
                const auto& [kept, by_kept] = of_shape[s];
                const double by_z = by_kept[k] * kept[k] * (1.0 - kept[k]);
                for (const std::uint32_t row : samples.shapes[s])
                    gradient[std::size_t{row} * 3 + k] += by_z;
            }
        nats /= static_cast<double>(std::max<std::size_t>(n_seen, 1));
        const double rate =
            0.1 * (0.5 * (1.0 + std::cos(std::numbers::pi * step / n_steps)) + 0.01);
        for (std::size_t i = 0; i < n; ++i) {
            const double g = gradient[i] / static_cast<double>(std::max<std::size_t>(n_seen, 1)) +
                             2.0 * pull * (tables[i] - prior[i]);
            mean[i] = 0.9 * mean[i] + 0.1 * g;
            square[i] = 0.99 * square[i] + 0.01 * g * g;
            const double m = mean[i] / (1.0 - std::pow(0.9, step));
            const double s = square[i] / (1.0 - std::pow(0.99, step));
            tables[i] -= rate * m / (std::sqrt(s) + 1e-9);
        }
    }
    return {tables, nats};
}

struct FitParameters {
    double exponent = 0.0;
    std::uint32_t guard = 0;  // tokens around a block that are left out with it
    std::uint32_t every = 1;  // so many-th token of a block is looked at
    int n_steps = 0;
    double pull = 0.0;
    unsigned n_threads = 1;
    std::shared_ptr<const WideTables> wide = nullptr;  // of the index, with this exponent
};

struct Fits {
    Fit corpus;
    Fit adapting;  // with a live text
    std::size_t n_tokens = 0;
};

// Leaves blocks of an index's text out, one after another, and fits discounts to them. blocks:
// three numbers each: shard, begin, end.
inline Fits fit_index(const AnyIndex& index, std::span<const std::uint32_t> blocks,
                      const FitParameters& how) {
    constexpr std::size_t cache_bytes = std::size_t{1} << 28;
    if (how.every == 0) throw InvalidParameter("every is 0, expected at least 1");
    if (blocks.size() % 3 != 0) throw InvalidParameter("blocks come as three numbers");
    return index.visit([&]<class Code>(const Owner<Code>& of) {
        const auto shards = of->index.apart();
        std::vector<Block> all;
        for (std::size_t i = 0; i < blocks.size(); i += 3) {
            const Block block{blocks[i], blocks[i + 1], blocks[i + 2]};
            if (block.shard >= shards.size() || block.begin == 0 || block.begin >= block.end ||
                block.end > shards[block.shard].n_rows())
                throw InvalidParameter("a block lies outside its shard");
            all.push_back(block);
        }
        const Discounts any(std::vector<double>(std::size_t{3} * n_discount_rows, 0.0));
        const auto model = std::make_shared<const KneserNeyModel>(
            FixedPower(how.exponent), any, std::optional(any), of->index.alphabet().n_codes(),
            of->index.n_rows(), cache_bytes, how.wide);
        const BlockSamples samples =
            sample_blocks<Code>(shards, model, all, how.guard, how.every, how.n_threads);
        auto adapting = in_background(
            [&] { return fit_discounts(samples.adapting, true, how.n_steps, how.pull); });
        Fits fits;
        fits.corpus = fit_discounts(samples.corpus, false, how.n_steps, how.pull);
        fits.adapting = adapting.get();
        fits.n_tokens = samples.corpus.offsets.size() - 1;
        return fits;
    });
}

}  // namespace infgram
