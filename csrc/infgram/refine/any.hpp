// Proposing and polishing over the two sides of an index, whatever the width of its codes, asked in
// token ids.
//
// Thread-safety: all methods may run in parallel; they take turns.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "infgram/contexts/any.hpp"
#include "infgram/models/kneser_ney.hpp"
#include "infgram/refine/lexicon.hpp"
#include "infgram/refine/polish.hpp"
#include "infgram/refine/propose.hpp"

namespace infgram::refine {

using SharedLexicon = std::shared_ptr<const Lexicon>;
using SharedModel = std::shared_ptr<const KneserNeyModel>;

// Both sides; the text read backwards may be missing.
template <class Code>
struct Sides {
    Owner<Code> forwards;
    Owner<Code> backwards;

    Sides(Owner<Code> index, const AnyIndex* other, const Lexicon& lexicon)
        : forwards(std::move(index)) {
        const std::uint32_t n_codes = alphabet().n_codes();
        if (other != nullptr && other->alphabet().n_codes() != n_codes)
            throw InvalidParameter("the two sides have different alphabets");
        if (lexicon.letters().n_codes() != n_codes)
            throw InvalidParameter("the lexicon is of another alphabet");
        if (other == nullptr) return;
        other->visit([&](const auto& owner) {
            if constexpr (std::is_same_v<std::decay_t<decltype(owner)>, Owner<Code>>)
                backwards = owner;
            else
                throw InvalidParameter("the two sides have codes of different widths");
        });
    }

    [[nodiscard]] const Alphabet& alphabet() const noexcept { return forwards->index.alphabet(); }
    [[nodiscard]] std::span<const Shard<Code>> before() const { return forwards->index.shards(); }
    [[nodiscard]] std::span<const Shard<Code>> behind() const {
        return backwards != nullptr ? backwards->index.shards() : std::span<const Shard<Code>>();
    }
    [[nodiscard]] std::vector<std::uint32_t> codes(std::span<const std::uint32_t> ids) const {
        std::vector<std::uint32_t> codes;
        codes.reserve(ids.size());
        for (const std::uint32_t id : ids) codes.push_back(alphabet().code(id));
        return codes;
    }
    // Candidates in token ids instead of codes.
    void name(Candidates& candidates) const {
        for (std::uint32_t& code : candidates.codes) code = alphabet().token_id(code);
    }
};

// Candidates for spans, in token ids; candidate i is for span_of[i].
struct Proposed {
    Candidates candidates;
    std::vector<std::int64_t> span_of;
};

class AnyProposals {
public:
    virtual ~AnyProposals() = default;
    // For spans of a text, [begins[i], ends[i]) of its tokens, which rise and do not overlap.
    virtual Proposed operator()(std::span<const std::uint32_t> token_ids,
                                std::span<const std::int64_t> begins,
                                std::span<const std::int64_t> ends,
                                const ProposerParameters& parameters, const Uniform& uniform) = 0;
    // For words of a text, the standing of each.
    virtual std::vector<std::uint8_t> standing(std::span<const std::uint32_t> token_ids,
                                               std::span<const std::int64_t> begins,
                                               std::span<const std::int64_t> ends) = 0;
};

// Spans of a text of n tokens, [begins[i], ends[i]), that rise, do not overlap and hold a token.
// Throws InvalidParameter.
inline std::vector<Span> spans_of(std::span<const std::int64_t> begins,
                                  std::span<const std::int64_t> ends, std::size_t n_tokens) {
    if (begins.size() != ends.size()) throw InvalidParameter("spans begin and end as often");
    std::vector<Span> spans;
    spans.reserve(begins.size());
    std::int64_t last = 0;
    for (std::size_t i = 0; i < begins.size(); ++i) {
        if (begins[i] < last || ends[i] <= begins[i] ||
            ends[i] > static_cast<std::int64_t>(n_tokens))
            throw InvalidParameter(
                "spans must rise, not overlap, hold a token and stay within the text; found [" +
                std::to_string(begins[i]) + ", " + std::to_string(ends[i]) + ") of " +
                std::to_string(n_tokens) + " tokens");
        last = ends[i];
        spans.push_back({static_cast<std::size_t>(begins[i]), static_cast<std::size_t>(ends[i])});
    }
    return spans;
}

template <class Code>
class ProposalsOf final : public AnyProposals {
public:
    ProposalsOf(Sides<Code> sides, SharedLexicon lexicon)
        : sides_(std::move(sides)),
          proposals_(sides_.before(), sides_.behind(), std::move(lexicon)) {}

    Proposed operator()(std::span<const std::uint32_t> token_ids,
                        std::span<const std::int64_t> begins, std::span<const std::int64_t> ends,
                        const ProposerParameters& parameters, const Uniform& uniform) override {
        const auto spans = spans_of(begins, ends, token_ids.size());
        const std::scoped_lock lock(mutex_);
        const auto codes = sides_.codes(token_ids);
        find_contexts(codes, spans);
        const std::size_t n_left = sides_.before().size();
        const std::size_t n_right = sides_.behind().size();
        Proposed found;
        for (std::size_t i = 0; i < spans.size(); ++i) {
            proposals_(std::span<const Chain>(left_).subspan(i * n_left, n_left),
                       std::span<const Chain>(right_).subspan(i * n_right, n_right), codes,
                       spans[i], parameters, uniform, found.candidates);
            found.span_of.resize(found.candidates.size(), static_cast<std::int64_t>(i));
        }
        sides_.name(found.candidates);
        return found;
    }

    std::vector<std::uint8_t> standing(std::span<const std::uint32_t> token_ids,
                                       std::span<const std::int64_t> begins,
                                       std::span<const std::int64_t> ends) override {
        const auto spans = spans_of(begins, ends, token_ids.size());
        const std::scoped_lock lock(mutex_);
        const auto codes = sides_.codes(token_ids);
        std::vector<std::uint8_t> found;
        found.reserve(spans.size());
        for (const Span at : spans)
            found.push_back(static_cast<std::uint8_t>(proposals_.standing(codes, at)));
        return found;
    }

private:
    static constexpr std::uint32_t window = 100;

    // The chains before every span, and those behind it, read backwards.
    void find_contexts(std::span<const std::uint32_t> codes, std::span<const Span> spans) {
        const std::size_t n_spans = spans.size();
        const auto read = [&](std::span<const Shard<Code>> shards, std::vector<Chain>& found,
                              auto&& token, auto&& place_and_span) {
            found.resize(n_spans * shards.size());
            if (shards.empty()) return;
            std::vector<Chain> chains(shards.size());
            std::size_t at = 0;
            for (std::size_t i = 0; i < n_spans; ++i) {
                const auto [place, span] = place_and_span(i);
                for (; at < place; ++at)
                    advance_all(shards, std::span<Chain>(chains), token(at), window);
                std::ranges::copy(
                    chains, found.begin() + static_cast<std::ptrdiff_t>(span * shards.size()));
            }
        };
        const std::size_t n = codes.size();
        read(
            sides_.before(), left_, [&](std::size_t at) { return codes[at]; },
            [&](std::size_t i) { return std::pair(spans[i].begin, i); });
        read(
            sides_.behind(), right_, [&](std::size_t at) { return codes[n - 1 - at]; },
            [&](std::size_t i) {
                const std::size_t last = n_spans - 1 - i;
                return std::pair(n - spans[last].end, last);
            });
    }

    Sides<Code> sides_;
    Proposals<Code> proposals_;
    std::vector<Chain> left_;
    std::vector<Chain> right_;
    std::mutex mutex_;
};

// An edited text, and its edits, in token ids.
struct Polished {
    std::vector<std::uint32_t> token_ids;
    Edits edits;
    std::vector<std::uint32_t> old;  // what stood there, as long as edits.candidates
};

class AnyPolisher {
public:
    virtual ~AnyPolisher() = default;
    // editable: for each token what may become of it, an `Editable`. Words that may be edited are
    // [begins[i], ends[i]) of the tokens; they rise, do not overlap, and end before the text does.
    virtual Polished operator()(std::span<const std::uint32_t> token_ids,
                                std::span<const std::uint8_t> editable,
                                std::span<const std::int64_t> begins,
                                std::span<const std::int64_t> ends,
                                const PolishParameters& parameters, const Uniform& uniform) = 0;
};

template <class Code>
class PolisherOf final : public AnyPolisher {
public:
    PolisherOf(Sides<Code> sides, SharedLexicon lexicon, SharedModel model,
               SharedModel model_backwards, std::uint32_t window)
        : sides_(std::move(sides)),
          polisher_(sides_.before(), sides_.behind(), std::move(model), std::move(model_backwards),
                    std::move(lexicon), window) {}

    Polished operator()(std::span<const std::uint32_t> token_ids,
                        std::span<const std::uint8_t> editable,
                        std::span<const std::int64_t> begins, std::span<const std::int64_t> ends,
                        const PolishParameters& parameters, const Uniform& uniform) override {
        if (token_ids.size() != editable.size())
            throw InvalidParameter("which tokens may be edited is told for another text");
        const auto words = spans_of(begins, ends, token_ids.size());
        if (!words.empty() && words.back().end == token_ids.size())
            throw InvalidParameter("the last word ends with the text, and may go on");
        const std::scoped_lock lock(mutex_);
        Polished done{{token_ids.begin(), token_ids.end()}, {}, {}};
        auto codes = sides_.codes(token_ids);
        done.edits = polisher_(codes, editable, words, parameters, uniform);
        sides_.name(done.edits.candidates);
        // Token ids and not codes: the index may not have them.
        for (std::size_t i = 0; i < done.edits.begins.size(); ++i) {
            const auto at = done.token_ids.begin() + done.edits.begins[i];
            const auto with = done.edits.candidates[i].codes;
            done.old.insert(done.old.end(), at, at + static_cast<std::ptrdiff_t>(with.size()));
            std::ranges::copy(with, at);
        }
        return done;
    }

private:
    Sides<Code> sides_;
    Polisher<Code> polisher_;
    std::mutex mutex_;
};

inline std::shared_ptr<Lexicon> make_lexicon(const AnyIndex& index, const Letters& letters,
                                             std::size_t max_tokens) {
    return index.visit([&](const auto& of) {
        return std::make_shared<Lexicon>(of->index.shards(), letters, max_tokens);
    });
}

// backwards: nullptr where there is none.
inline std::unique_ptr<AnyProposals> make_proposals(const AnyIndex& index,
                                                    const AnyIndex* backwards,
                                                    const SharedLexicon& lexicon) {
    return index.visit([&]<class Code>(const Owner<Code>& of) -> std::unique_ptr<AnyProposals> {
        return std::make_unique<ProposalsOf<Code>>(Sides<Code>(of, backwards, *lexicon), lexicon);
    });
}

inline std::unique_ptr<AnyPolisher> make_polisher(const AnyIndex& index, const AnyIndex& backwards,
                                                  const SharedLexicon& lexicon,
                                                  const SharedModel& model,
                                                  const SharedModel& model_backwards,
                                                  std::uint32_t window) {
    return index.visit([&]<class Code>(const Owner<Code>& of) -> std::unique_ptr<AnyPolisher> {
        return std::make_unique<PolisherOf<Code>>(Sides<Code>(of, &backwards, *lexicon), lexicon,
                                                  model, model_backwards, window);
    });
}

}  // namespace infgram::refine
