// Drawing tokens, one after another: an estimator's weights are drawn from, or, where it has a law
// of rows, its rows. Limits on copies stand between.
//
// The readable definition is `DefinedSampler` in src/infgram/models/definition.py; both do the same
// floating-point operations in the same order, so the same uniform numbers give the same tokens.
//
// Not for two threads: each has a sampler of its own.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

#include "infgram/contexts/context.hpp"
#include "infgram/contexts/copying.hpp"
#include "infgram/models/draw.hpp"
#include "infgram/models/rejection.hpp"
#include "infgram/models/row_texts.hpp"
#include "infgram/rows/alphabet.hpp"

namespace infgram {

// An estimator that looks at more of a text than levels: it reads each code beside the context, and
// goes on where another one is.
template <class Estimator>
concept ReadsText = requires(Estimator& estimator, const Estimator& other, std::uint32_t code) {
    estimator.read(code);
    estimator.resume(other);
};

// An estimator that learns from each code before it is read.
template <class Estimator>
concept Learns = Estimator::learns;

// An estimator that takes contexts of different shards for different ones.
template <class Estimator>
concept CountsApart = Estimator::counts_apart;

// An estimator that draws from its own law, and from its powers, faster than all weights are told:
// the code at which a uniform number falls when they stand in a row. And that tells the k heaviest
// weights faster than all.
template <class Estimator>
concept Draws = requires(Estimator& estimator, double number, Weights& weights) {
    { estimator.draw(number) } -> std::same_as<std::uint32_t>;
    { estimator.draw(number, number) } -> std::same_as<std::uint32_t>;
    estimator.weigh_heaviest(std::size_t{1}, weights);
};

// An estimator whose law is that of rows.
template <class Estimator>
concept DrawsRows = requires(const Estimator& estimator) {
    { estimator.parameters() } -> std::same_as<const SbisParameters&>;
};

// An estimator that proposes tokens by its law, and tells whether a power of their probability is
// above a number, faster than all weights are told.
template <class Estimator, class Context>
concept Proposes = requires(Estimator& estimator, const Context& context, double number) {
    estimator.begin(context);
    { estimator.propose(number) } -> std::same_as<std::uint32_t>;
    { estimator.accepts(std::uint32_t{}, number, number) } -> std::same_as<bool>;
};

// A text that is being drawn.
template <class Code>
struct TextToDraw {
    Context<Code> context;
    Uniform uniform;
    std::uint64_t n_generated = 0;
    std::vector<std::uint32_t> drawn{};  // codes that `write` drew
    // What was drawn last: the boundary behind which the text has ended, or Alphabet::unknown where
    // a copy limit left no code.
    std::uint32_t code = Alphabet::unknown;
    bool has_ended = false;
};

// Draws texts of one index, each by its own random numbers: they share all but where they are.
template <class Code, class Estimator>
class Sampler {
public:
    // An estimator that looks at more than contexts goes on with one text.
    static constexpr bool draws_many = !ReadsText<Estimator> && !Learns<Estimator>;

    // context: of a text to be drawn. Backs off to shorter contexts by `estimator.back_off()` where
    // a copy limit leaves no token.
    Sampler(const Context<Code>& context, Estimator estimator, const SamplingParameters& parameters)
        : estimator_(std::move(estimator)),
          parameters_(parameters),
          draw_(parameters),
          limit_(parameters.max_copy, context.n_codes()) {
        weights_.of.assign(context.n_codes(), 0.0);
        rejects_ = rejection_fits(parameters) && !context.has_live();
        if constexpr (DrawsRows<Estimator>)
            if (rejects_ && estimator_.parameters().floor == 0.0 && !any_removed(context.shards()))
                rejection_.emplace(estimator_.parameters(), parameters);
    }

    // A text of it, whose context keeps what the estimator looks at.
    [[nodiscard]] TextToDraw<Code> text(Context<Code> context, const Uniform& uniform) const {
        // A copy limit looks at every level, and backs off to any.
        const std::optional<std::size_t> k = estimator_.n_levels();
        if (k && parameters_.max_copy == 0) context.keep_first(*k);
        return {std::move(context), uniform};
    }

    // Draws up to n codes of each text that has not ended, and reads them. The end is none of them.
    void write(std::span<TextToDraw<Code>> texts, std::size_t n) {
        for (TextToDraw<Code>& text : texts) text.drawn.clear();
        if constexpr (DrawsRows<Estimator> && sizeof(Code) == 1) {
            if (!texts.empty() && draws_from_few_rows(texts[0].context)) {
                const int k = estimator_.parameters().k;
                if (k == 1) return write_rows<1>(texts, n);
                if (k == 2) return write_rows<2>(texts, n);
                return write_rows<3>(texts, n);
            }
        }
        for (TextToDraw<Code>& text : texts) {
            text.drawn.reserve(n);
            while (text.drawn.size() < n && !text.has_ended) {
                draw(text);
                read(text);
                if (text.code != Alphabet::unknown) ++text.n_generated;
                if (!text.has_ended) text.drawn.push_back(text.code);
            }
        }
    }

private:
    // Draws the next code; Alphabet::unknown if a copy limit leaves none.
    void draw(TextToDraw<Code>& text) {
        if constexpr (DrawsRows<Estimator>) {
            if (rejection_) {
                text.code = (*rejection_)(estimator_, text.context, text.uniform);
                if (text.code != Alphabet::unknown) return;
            }
        }
        if constexpr (Proposes<Estimator, Context<Code>>) {
            if (rejects_) {
                if (const auto code = propose(text)) {
                    text.code = *code;
                    return;
                }
            }
        }
        draw_by_weights(text);
    }
    void draw_by_weights(TextToDraw<Code>& text) {
        estimator_.look(text.context);
        text.code = choose(text);
    }

    // Reads the code drawn.
    void read(TextToDraw<Code>& text) {
        text.has_ended = text.code == boundary || text.code == Alphabet::unknown;
        if (text.code == Alphabet::unknown) return;
        if constexpr (Learns<Estimator>) estimator_.learn(text.context, text.code);
        text.context.read(text.code);
        if constexpr (ReadsText<Estimator>) estimator_.read(text.code);
    }

    // Whether `RowTexts` has a loop for it.
    [[nodiscard]] bool draws_from_few_rows(const Context<Code>& context) const noexcept {
        const SbisParameters& law = estimator_.parameters();
        return rejection_ && context.shards().size() == 1 && context.keeps_first() && law.k >= 1 &&
               law.k <= 3 && std::isnormal(law.decay * law.decay);
    }

    // `write`, where `RowTexts` has a loop for it.
    template <std::size_t k>
    void write_rows(std::span<TextToDraw<Code>> texts, std::size_t n) {
        using Row = typename RowTexts<k>::Text;
        struct Drawn {
            TextToDraw<Code>* text;
            Row row;
            bool fits;  // if not, a code is drawn and read as others are
            bool has_moved = false;
        };
        const Context<Code>& first = texts[0].context;
        const RowTexts<k> rows(estimator_.parameters(), first.shards()[0], first.neighbours(0),
                               first.window(), rejection_->acceptance());
        std::vector<Drawn> left;
        for (TextToDraw<Code>& text : texts) {
            if (text.has_ended) continue;
            text.drawn.resize(n);
            Row row{.uniform = text.uniform, .drawn = text.drawn.data()};
            const bool fits = rows.begin(row, text.context.chains()[0]);
            left.push_back({&text, row, fits});
        }
        const auto leave = [](Drawn& each) {
            if (each.fits) each.text->context.go_on_from(each.row.found());
            const auto n_drawn = static_cast<std::size_t>(each.row.drawn - each.text->drawn.data());
            each.text->drawn.resize(n_drawn);
            each.text->n_generated += n_drawn;
        };
        for (std::size_t i = 0; i < n && !left.empty(); ++i) {
            for (Drawn& each : left)
                if (each.fits) rows.propose(each.row);
            for (Drawn& each : left)
                if (each.fits) rows.look(each.row);
            for (Drawn& each : left) each.has_moved = each.fits && rows.draw(each.row);
            bool has_ended = false;
            for (Drawn& each : left) {
                if (each.has_moved && rows.fill(each.row)) [[likely]]
                    continue;
                if (each.fits) each.text->context.go_on_from(each.row.found());
                if (!each.has_moved) finish(*each.text, each.fits ? &each.row.code : nullptr);
                if (!each.has_moved && !each.text->has_ended) *each.row.drawn++ = each.text->code;
                each.fits =
                    !each.text->has_ended && rows.begin(each.row, each.text->context.chains()[0]);
                has_ended |= each.text->has_ended;
            }
            if (has_ended) {
                for (Drawn& each : left)
                    if (each.text->has_ended) leave(each);
                std::erase_if(left, [](const Drawn& each) { return each.text->has_ended; });
            }
        }
        for (Drawn& each : left) leave(each);
    }
    // Draws and reads what such a loop does not: what it drew, if it did.
    void finish(TextToDraw<Code>& text, const std::uint32_t* drawn) {
        if (drawn == nullptr)
            draw(text);
        else if (*drawn == Alphabet::unknown)
            draw_by_weights(text);
        else
            text.code = *drawn;
        read(text);
    }

    // A code, or nothing after so many tries that all should be weighed instead.
    std::optional<std::uint32_t> propose(const TextToDraw<Code>& text) {
        const Uniform& uniform = text.uniform;
        estimator_.begin(text.context);
        for (int i = 0; i < most_tries; ++i) {
            const std::uint32_t code = estimator_.propose(uniform());
            if (code == Alphabet::unknown) continue;
            if (parameters_.temperature == 1.0 ||
                estimator_.accepts(code, uniform(), 1.0 / parameters_.temperature - 1.0))
                return code;
        }
        return std::nullopt;
    }

    // Where not all weights matter.
    std::optional<std::uint32_t> choose_early(const Uniform& uniform) {
        const double temperature = parameters_.temperature;
        const std::size_t k = temperature == 0.0 ? 1 : parameters_.top_k;
        if (k != 0) {
            weights_.clear();
            estimator_.weigh_heaviest(k, weights_);
            return draw_(weights_, uniform);
        }
        if (parameters_.cuts()) return std::nullopt;
        return temperature == 1.0 ? estimator_.draw(uniform())
                                  : estimator_.draw(uniform(), 1.0 / temperature);
    }

    std::uint32_t choose(const TextToDraw<Code>& text) {
        const Uniform& uniform = text.uniform;
        if constexpr (Draws<Estimator>)
            if (parameters_.max_copy == 0)
                if (const auto code = choose_early(uniform)) return *code;
        const std::uint32_t only =
            parameters_.max_copy == 0 ? estimator_.only_code() : Alphabet::unknown;
        if (only != Alphabet::unknown) {
            if (parameters_.temperature != 0.0) uniform();
            return only;
        }
        do {
            weights_.clear();
            estimator_.weigh(weights_);
            if (weights_.codes.empty()) throw_corrupt("next");
            limit_.apply(text.context, text.n_generated, weights_);
        } while (weights_.codes.empty() && estimator_.back_off());
        return weights_.codes.empty() ? Alphabet::unknown : draw_(weights_, uniform);
    }

    Estimator estimator_;
    SamplingParameters parameters_;
    Draw draw_;
    CopyLimit<Code> limit_;
    Weights weights_;
    bool rejects_ = false;
    std::optional<Rejection<Code>> rejection_;
};

}  // namespace infgram
