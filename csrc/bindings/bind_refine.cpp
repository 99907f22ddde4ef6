// Lexicon, Proposals and Polisher: other words for a text.
#include <memory>
#include <optional>
#include <tuple>

#include "arrays.hpp"
#include "infgram/refine/any.hpp"
#include "random.hpp"

using namespace infgram;
using namespace infgram::bindings;
using namespace infgram::refine;

namespace {

using Model = std::shared_ptr<KneserNeyModel>;
using Words = std::shared_ptr<Lexicon>;
using Ids = std::span<const std::uint32_t>;

}  // namespace

void bind_refine(py::module_& m) {
    py::class_<Lexicon, Words>(m, "Lexicon")
        .def(py::init([](const AnyIndex& index, std::span<const std::uint8_t> n_of_character,
                         std::span<const std::uint64_t> letters,
                         std::span<const std::uint64_t> apostrophes, std::size_t max_tokens) {
                 const py::gil_scoped_release release;
                 return make_lexicon(index, Letters(n_of_character, letters, apostrophes),
                                     max_tokens);
             }),
             py::arg("index"), py::kw_only(), py::arg("n_of_character"), py::arg("letters"),
             py::arg("apostrophes"), py::arg("max_tokens"))
        .def("__len__", &Lexicon::size);
    py::class_<AnyProposals>(m, "Proposals")
        .def(py::init([](const AnyIndex& index, const std::optional<AnyIndex>& backwards,
                         const Words& lexicon) {
                 return make_proposals(index, backwards ? &*backwards : nullptr, lexicon);
             }),
             py::arg("index"), py::arg("backwards"), py::arg("lexicon"))
        // (token_ids, offsets, span_of, proposers, shards, positions); shard -1: nowhere
        .def(
            "propose",
            [](AnyProposals& self, Ids token_ids, std::span<const std::int64_t> begins,
               std::span<const std::int64_t> ends, std::uint32_t n_sbis, std::uint32_t n_lexicon,
               std::uint8_t wanted, const Uniform& bit_generator) {
                if (wanted > static_cast<std::uint8_t>(Wanted::better))
                    throw InvalidParameter("expected text, word, fitting or better, from 0 to 3");
                Proposed found =
                    self(token_ids, begins, ends, {n_sbis, n_lexicon, static_cast<Wanted>(wanted)},
                         bit_generator);
                Candidates& of = found.candidates;
                return std::tuple(std::move(of.codes), std::move(of.offsets),
                                  std::move(found.span_of), std::move(of.proposers),
                                  std::move(of.shards), std::move(of.positions));
            },
            py::arg("token_ids"), py::arg("begins"), py::arg("ends"), py::kw_only(),
            py::arg("n_sbis"), py::arg("n_lexicon"), py::arg("wanted"), py::arg("bit_generator"),
            Released())
        .def("standing", &AnyProposals::standing, py::arg("token_ids"), py::arg("begins"),
             py::arg("ends"), Released());
    py::class_<AnyPolisher>(m, "Polisher")
        .def(py::init([](const AnyIndex& index, const AnyIndex& backwards, const Words& lexicon,
                         const Model& model, const Model& model_backwards, std::uint32_t window) {
                 return make_polisher(index, backwards, lexicon, model, model_backwards, window);
             }),
             py::arg("index"), py::arg("backwards"), py::arg("lexicon"), py::kw_only(),
             py::arg("model"), py::arg("model_backwards"), py::arg("window"))
        // (token_ids, rounds, begins, gains, old token ids, candidates as Proposals has them),
        // edits in the order in which they were made
        .def(
            "polish",
            [](AnyPolisher& self, Ids token_ids, std::span<const std::uint8_t> editable,
               std::span<const std::int64_t> begins, std::span<const std::int64_t> ends,
               std::uint32_t rounds, double share, double margin, std::uint32_t max_copy,
               std::uint32_t n_sbis, std::uint32_t n_lexicon, const Uniform& bit_generator) {
                Polished done =
                    self(token_ids, editable, begins, ends,
                         {rounds, share, margin, max_copy, n_sbis, n_lexicon}, bit_generator);
                Candidates& of = done.edits.candidates;
                std::vector<std::int64_t> span_of(of.size(), 0);
                return std::tuple(std::move(done.token_ids), std::move(done.edits.rounds),
                                  std::move(done.edits.begins), std::move(done.edits.gains),
                                  std::move(done.old),
                                  std::tuple(std::move(of.codes), std::move(of.offsets),
                                             std::move(span_of), std::move(of.proposers),
                                             std::move(of.shards), std::move(of.positions)));
            },
            py::arg("token_ids"), py::arg("editable"), py::arg("begins"), py::arg("ends"),
            py::kw_only(), py::arg("rounds"), py::arg("share"), py::arg("margin"),
            py::arg("max_copy"), py::arg("n_sbis"), py::arg("n_lexicon"), py::arg("bit_generator"),
            Released());
}
