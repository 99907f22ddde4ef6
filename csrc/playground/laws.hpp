// The models of a page: SBIS with one to three levels, and Kneser-Ney with textbook discounts. What
// they write, and why.
//
// Not for two threads: each has a writer of its own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "infgram/contexts/context.hpp"
#include "infgram/models/kneser_ney.hpp"
#include "infgram/models/sampler.hpp"
#include "infgram/models/sbis.hpp"
#include "playground/questions.hpp"
#include "playground/random.hpp"
#include "playground/text.hpp"

namespace infgram::playground {

// Numbers as JavaScript has them: 1 to 3 are SBIS with so many levels.
inline constexpr int kneser_ney = 0;
inline constexpr int most_mixed = 3;

// What a context is read with, and what a model is made of: the library's own defaults.
struct SbisLaw {
    using Estimator = Sbis<Code>;
    static constexpr std::uint32_t window = 200;
    static constexpr double decay = 0.3;

    [[nodiscard]] Estimator estimator(const Text& text) const {
        return {{.k = k, .decay = decay}, text.index().shards()};
    }
    int k;
};
struct KneserNeyLaw {
    using Estimator = KneserNey<Code>;
    static constexpr std::uint32_t window = max_context;
    static constexpr double exponent = 0.2;
    static constexpr std::size_t cache_bytes = std::size_t{1} << 25;

    // Its tables of wide ranges are counted once for all that the text is asked.
    explicit KneserNeyLaw(const Text& text)
        : model(std::make_shared<const KneserNeyModel>(
              FixedPower(exponent), Discounts(same_discounts(textbook_log_odds)), std::nullopt,
              n_vocabulary, text.index().n_rows(), cache_bytes)) {}
    [[nodiscard]] Estimator estimator(const Text& text) const {
        return {model, text.index().shards()};
    }
    std::shared_ptr<const KneserNeyModel> model;
};

// What was read before. Nothing: a text begins.
inline Context<Code> context_behind(const Text& text, Bytes read, std::uint32_t window) {
    const auto& index = text.index();
    return {index.shards(), read.empty() ? index.start_of_document() : index.chains(read), window,
            std::nullopt};
}

class Writer {
public:
    virtual ~Writer() = default;
    // The next n bytes; fewer where the text ends.
    virtual Numbers write(std::size_t n) = 0;
};

template <class Law>
class WriterOf final : public Writer {
public:
    // Borrows the text.
    WriterOf(const Text& text, const Law& law, Bytes prompt, double temperature, std::uint64_t seed)
        : WriterOf(text, law, context_behind(text, prompt, Law::window), temperature, seed) {}
    WriterOf(const WriterOf&) = delete;
    WriterOf& operator=(const WriterOf&) = delete;

    Numbers write(std::size_t n) override {
        Numbers written;
        if (Context<Code>& context = drawn_.context; context.keeps_first())
            context.borrow(text_.neighbours().after(text_.index().shards(), n));
        sampler_.write({&drawn_, 1}, n);
        for (const std::uint32_t code : drawn_.drawn)
            written.push_back(text_.index().alphabet().token_id(code));
        return written;
    }

private:
    WriterOf(const Text& text, const Law& law, const Context<Code>& context, double temperature,
             std::uint64_t seed)
        : text_(text),
          random_(seed),
          sampler_(context, law.estimator(text), {.temperature = temperature}),
          drawn_(sampler_.text(context, random_.uniform())) {}

    const Text& text_;
    Random random_;
    Sampler<Code, typename Law::Estimator> sampler_;
    TextToDraw<Code> drawn_;
};

// What a level gave to a byte.
struct Given {
    std::uint32_t n;
    std::uint64_t m;
    double prob;  // its part of the byte's probability
};

// By a law, longest level first; what stands behind all levels has m = 0. Their parts sum to the
// byte's probability.
inline std::vector<Given> given_by(const SbisLaw& law, const Text& text, Bytes read,
                                   std::uint32_t code) {
    const Context<Code> context = context_behind(text, read, SbisLaw::window);
    auto estimator = law.estimator(text);
    estimator.look(context);
    std::vector<Given> found;
    std::vector<Range> ranges;
    for_each_level(context.shards(), context.chains(), law.k, ranges,
                   [&](std::uint32_t n, std::uint64_t m, std::span<const Range>) {
                       found.push_back({n, m, 0.0});
                   });
    if (found.empty()) found.push_back({0, estimator.m(0), 0.0});  // all bytes are the level
    double weight = 1.0;
    double total = 0.0;
    for (std::size_t i = 0; i < found.size(); ++i, weight *= SbisLaw::decay) {
        total += weight * static_cast<double>(found[i].m);
        if (code != Alphabet::unknown)
            found[i].prob = weight * static_cast<double>(estimator.count(i, code));
    }
    for (Given& each : found) each.prob /= total;
    return found;
}
inline std::vector<Given> given_by(const KneserNeyLaw& law, const Text& text, Bytes read,
                                   std::uint32_t code) {
    auto estimator = law.estimator(text);
    const Context<Code> context = context_behind(text, read, KneserNeyLaw::window);
    estimator.look(context);
    std::vector<Given> found;
    double left = estimator.prob(code);
    double rest = 1.0;
    for (const Step& step : estimator.steps()) {
        const Discount kept = estimator.discount(step);
        double prob = 0.0;
        if (const auto token = estimator.token(step, code))
            prob = rest * (discounted(*token, kept) / step.statistics->total);
        found.push_back({step.n, step.statistics->m, prob});
        left -= prob;
        rest *= step.kept_back(kept);
    }
    found.push_back({0, 0, std::max(left, 0.0)});
    return found;
}

// Why a law would write the last byte of a text behind the others: the byte's probability, how many
// bytes of the text's end stand in the corpus in one piece because of it, and of each level that
// gave it something n, m and its part.
template <class Law>
Numbers trace_of(const Law& law, const Text& text, Bytes written) {
    const Bytes read = written.first(written.size() - 1);
    const std::uint32_t code = text.index().alphabet().code(written.back());
    std::vector<Given> given = given_by(law, text, read, code);
    double prob = 0.0;
    for (const Given& each : given) prob += each.prob;
    std::erase_if(given, [](const Given& each) { return each.prob == 0.0; });
    // A level reaches behind the beginning of a text.
    const std::size_t n = given.empty() ? 0 : std::min<std::size_t>(given[0].n, read.size()) + 1;
    Numbers numbers{prob, static_cast<double>(n)};
    for (const Given& each : given)
        numbers.insert(numbers.end(),
                       {static_cast<double>(each.n), static_cast<double>(each.m), each.prob});
    return numbers;
}

}  // namespace infgram::playground
