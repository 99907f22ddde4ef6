// Lexicon, and Proposals and Polisher for codes of 8, 16 and 32 bits: other words for a text.
#include <memory>
#include <mutex>
#include <optional>

#include <pybind11/stl.h>

#include "arrays.hpp"
#include "infgram/kneser_ney.hpp"
#include "infgram/refine/lexicon.hpp"
#include "infgram/refine/polish.hpp"
#include "infgram/refine/propose.hpp"
#include "infgram/refine/words.hpp"
#include "owned.hpp"
#include "random.hpp"

using namespace infgram;
using namespace infgram::bindings;
using namespace infgram::refine;

namespace {

using SharedLexicon = std::shared_ptr<const Lexicon>;
using SharedModel = std::shared_ptr<KneserNeyModel>;

template <class Code>
std::span<const Shard<Code>> shards_of(const Owner<Code>& owner) {
    return owner != nullptr ? owner->index.shards() : std::span<const Shard<Code>>();
}

template <class Code>
void check_sides(const Owner<Code>& forwards, const Owner<Code>& backwards,
                 const Lexicon& lexicon) {
    const std::uint32_t n_codes = forwards->index.alphabet().n_codes();
    if (backwards != nullptr && backwards->index.alphabet().n_codes() != n_codes)
        throw InvalidParameter("the two sides have different alphabets");
    if (lexicon.letters().n_codes() != n_codes)
        throw InvalidParameter("the lexicon is of another alphabet");
}

std::vector<std::uint32_t> to_codes(const Alphabet& alphabet,
                                    std::span<const std::uint32_t> token_ids) {
    std::vector<std::uint32_t> codes;
    codes.reserve(token_ids.size());
    for (const std::uint32_t token_id : token_ids) codes.push_back(alphabet.code(token_id));
    return codes;
}

// Candidates, one after another, as arrays.
class FlatCandidates {
public:
    explicit FlatCandidates(const Alphabet& alphabet) : alphabet_(alphabet) {}

    void add(std::int64_t span, const Candidate& candidate) {
        for (const std::uint32_t code : candidate.codes)
            token_ids_.push_back(alphabet_.token_id(code));
        offsets_.push_back(static_cast<std::int64_t>(token_ids_.size()));
        spans_.push_back(span);
        proposers_.push_back(static_cast<std::uint8_t>(candidate.proposer));
        shards_.push_back(candidate.place ? static_cast<std::int32_t>(candidate.place->shard) : -1);
        positions_.push_back(candidate.place ? candidate.place->position : 0);
    }

    // (token_ids, offsets, span_of, proposers, shards, positions); shard -1: nowhere
    [[nodiscard]] py::tuple to_tuple() const {
        return py::make_tuple(to_array(token_ids_), to_array(offsets_), to_array(spans_),
                              to_array(proposers_), to_array(shards_), to_array(positions_));
    }

private:
    const Alphabet& alphabet_;
    std::vector<std::uint32_t> token_ids_;
    std::vector<std::int64_t> offsets_{0};
    std::vector<std::int64_t> spans_;
    std::vector<std::uint8_t> proposers_;
    std::vector<std::int32_t> shards_;
    std::vector<std::uint32_t> positions_;
};

template <class Code>
class AnyProposals {
public:
    AnyProposals(Owner<Code> forwards, Owner<Code> backwards, SharedLexicon lexicon)
        : forwards_(std::move(forwards)), backwards_(std::move(backwards)) {
        check_sides(forwards_, backwards_, *lexicon);
        proposals_.emplace(shards_of(forwards_), shards_of(backwards_), std::move(lexicon));
    }

    // Candidates for spans of a text, [begins[i], ends[i]) of its tokens, in the order of the
    // spans, which rise and do not overlap.
    py::tuple propose(const Array<std::uint32_t>& token_ids, const Array<std::int64_t>& begins,
                      const Array<std::int64_t>& ends, std::uint32_t n_sbis,
                      std::uint32_t n_lexicon, const py::object& bit_generator) {
        const auto tokens = view(token_ids);
        const auto from = view(begins);
        const auto to = view(ends);
        const Uniform uniform = uniform_of(bit_generator);
        check_spans(from, to, tokens.size());
        FlatCandidates flat(forwards_->index.alphabet());
        {
            const py::gil_scoped_release release;
            const std::scoped_lock lock(mutex_);
            const auto codes = to_codes(forwards_->index.alphabet(), tokens);
            find_contexts(codes, from, to);
            const auto n_left = shards_of(forwards_).size();
            const auto n_right = shards_of(backwards_).size();
            std::vector<Candidate> candidates;
            for (std::size_t i = 0; i < from.size(); ++i) {
                const auto begin = static_cast<std::size_t>(from[i]);
                const auto end = static_cast<std::size_t>(to[i]);
                (*proposals_)(std::span<const Chain>(left_).subspan(i * n_left, n_left),
                              std::span<const Chain>(right_).subspan(i * n_right, n_right),
                              std::span(codes).subspan(begin, end - begin), {n_sbis, n_lexicon},
                              uniform, candidates);
                for (const Candidate& candidate : candidates)
                    flat.add(static_cast<std::int64_t>(i), candidate);
            }
        }
        return flat.to_tuple();
    }

private:
    static constexpr std::uint32_t window = 100;

    static void check_spans(std::span<const std::int64_t> begins,
                            std::span<const std::int64_t> ends, std::size_t n_tokens) {
        if (begins.size() != ends.size()) throw InvalidParameter("spans begin and end as often");
        std::int64_t last = 0;
        for (std::size_t i = 0; i < begins.size(); ++i) {
            if (begins[i] < last || ends[i] <= begins[i] ||
                ends[i] > static_cast<std::int64_t>(n_tokens))
                throw InvalidParameter(
                    "spans must rise, not overlap, hold a token and stay within the text; found [" +
                    std::to_string(begins[i]) + ", " + std::to_string(ends[i]) + ") of " +
                    std::to_string(n_tokens) + " tokens");
            last = ends[i];
        }
    }

    // The chains before every span, and those behind it, read backwards.
    void find_contexts(std::span<const std::uint32_t> codes, std::span<const std::int64_t> begins,
                       std::span<const std::int64_t> ends) {
        const auto read = [&](std::span<const Shard<Code>> shards, std::vector<Chain>& found,
                              auto&& token, auto&& wanted) {
            found.resize(begins.size() * shards.size());
            if (shards.empty()) return;
            std::vector<Chain> chains(shards.size());
            std::size_t at = 0;
            for (std::size_t i = 0; i < begins.size(); ++i) {
                for (; at < wanted(i).first; ++at)
                    advance_all(shards, std::span<Chain>(chains), token(at), window);
                std::ranges::copy(chains, found.begin() + static_cast<std::ptrdiff_t>(
                                                              wanted(i).second * shards.size()));
            }
        };
        const std::size_t n = codes.size();
        read(
            shards_of(forwards_), left_, [&](std::size_t at) { return codes[at]; },
            [&](std::size_t i) { return std::pair(static_cast<std::size_t>(begins[i]), i); });
        read(
            shards_of(backwards_), right_, [&](std::size_t at) { return codes[n - 1 - at]; },
            [&](std::size_t i) {
                const std::size_t last = ends.size() - 1 - i;
                return std::pair(n - static_cast<std::size_t>(ends[last]), last);
            });
    }

    Owner<Code> forwards_;
    Owner<Code> backwards_;
    std::optional<Proposals<Code>> proposals_;
    std::vector<Chain> left_;
    std::vector<Chain> right_;
    std::mutex mutex_;
};

template <class Code>
class AnyPolisher {
public:
    AnyPolisher(Owner<Code> forwards, Owner<Code> backwards, SharedLexicon lexicon,
                SharedModel model, SharedModel model_backwards, std::uint32_t window)
        : forwards_(std::move(forwards)), backwards_(std::move(backwards)) {
        check_sides(forwards_, backwards_, *lexicon);
        polisher_.emplace(shards_of(forwards_), shards_of(backwards_), std::move(model),
                          std::move(model_backwards), std::move(lexicon), window);
    }

    // Edits a text: (token_ids, rounds, begins, gains, old token ids, candidates), edits in the
    // order in which they were made.
    py::tuple polish(const Array<std::uint32_t>& token_ids, const Array<std::uint8_t>& editable,
                     const PolishParameters& parameters, const py::object& bit_generator) {
        const auto tokens = view(token_ids);
        const auto may = view(editable);
        if (tokens.size() != may.size())
            throw InvalidParameter("which tokens may be edited is told for another text");
        const Uniform uniform = uniform_of(bit_generator);
        const Alphabet& alphabet = forwards_->index.alphabet();
        std::vector<std::uint32_t> edited(tokens.begin(), tokens.end());
        std::vector<std::uint32_t> rounds;
        std::vector<std::int64_t> begins;
        std::vector<double> gains;
        std::vector<std::uint32_t> old;
        FlatCandidates flat(alphabet);
        {
            const py::gil_scoped_release release;
            const std::scoped_lock lock(mutex_);
            auto codes = to_codes(alphabet, tokens);
            for (const Edit& edit : (*polisher_)(codes, may, parameters, uniform)) {
                rounds.push_back(edit.round);
                begins.push_back(static_cast<std::int64_t>(edit.begin));
                gains.push_back(edit.gain);
                for (const std::uint32_t code : edit.old) old.push_back(alphabet.token_id(code));
                flat.add(0, edit.candidate);
            }
            // A token that the index does not have stays what it is.
            for (std::size_t i = 0; i < codes.size(); ++i)
                if (codes[i] != Alphabet::unknown) edited[i] = alphabet.token_id(codes[i]);
        }
        return py::make_tuple(to_array(edited), to_array(rounds), to_array(begins), to_array(gains),
                              to_array(old), flat.to_tuple());
    }

private:
    Owner<Code> forwards_;
    Owner<Code> backwards_;
    std::optional<Polisher<Code>> polisher_;
    std::mutex mutex_;
};

template <class Code>
void bind_width(py::module_& m, const std::string& bits) {
    m.def(
        "lexicon",
        [](const Owner<Code>& index, const Array<std::uint8_t>& of_word,
           const Array<std::uint8_t>& n_of_character, std::size_t max_tokens) {
            const Letters letters(view(of_word), view(n_of_character));
            const py::gil_scoped_release release;
            return std::make_shared<Lexicon>(index->index.shards(), letters, max_tokens);
        },
        py::arg("index"), py::kw_only(), py::arg("of_word").noconvert(),
        py::arg("n_of_character").noconvert(), py::arg("max_tokens"));
    py::class_<AnyProposals<Code>>(m, ("Proposals" + bits).c_str())
        .def(py::init(
                 [](Owner<Code> index, Owner<Code> backwards, std::shared_ptr<Lexicon> lexicon) {
                     return std::make_unique<AnyProposals<Code>>(std::move(index),
                                                                 std::move(backwards), lexicon);
                 }),
             py::arg("index"), py::arg("backwards").none(true), py::arg("lexicon"))
        .def("propose", &AnyProposals<Code>::propose, py::arg("token_ids").noconvert(),
             py::arg("begins").noconvert(), py::arg("ends").noconvert(), py::kw_only(),
             py::arg("n_sbis"), py::arg("n_lexicon"), py::arg("bit_generator"));
    py::class_<AnyPolisher<Code>>(m, ("Polisher" + bits).c_str())
        .def(py::init([](Owner<Code> index, Owner<Code> backwards, std::shared_ptr<Lexicon> lexicon,
                         SharedModel model, SharedModel model_backwards, std::uint32_t window) {
                 return std::make_unique<AnyPolisher<Code>>(std::move(index), std::move(backwards),
                                                            lexicon, std::move(model),
                                                            std::move(model_backwards), window);
             }),
             py::arg("index"), py::arg("backwards"), py::arg("lexicon"), py::kw_only(),
             py::arg("model"), py::arg("model_backwards"), py::arg("window"))
        .def(
            "polish",
            [](AnyPolisher<Code>& self, const Array<std::uint32_t>& token_ids,
               const Array<std::uint8_t>& editable, std::uint32_t rounds, double share,
               double margin, std::uint32_t max_copy, std::uint32_t n_sbis, std::uint32_t n_lexicon,
               const py::object& bit_generator) {
                return self.polish(token_ids, editable,
                                   {rounds, share, margin, max_copy, {n_sbis, n_lexicon}},
                                   bit_generator);
            },
            py::arg("token_ids").noconvert(), py::arg("editable").noconvert(), py::kw_only(),
            py::arg("rounds"), py::arg("share"), py::arg("margin"), py::arg("max_copy"),
            py::arg("n_sbis"), py::arg("n_lexicon"), py::arg("bit_generator"));
}

}  // namespace

void bind_refine(py::module_& m) {
    py::class_<Lexicon, std::shared_ptr<Lexicon>>(m, "Lexicon").def("__len__", &Lexicon::size);
    bind_width<std::uint8_t>(m, "8");
    bind_width<std::uint16_t>(m, "16");
    bind_width<std::uint32_t>(m, "32");
}
