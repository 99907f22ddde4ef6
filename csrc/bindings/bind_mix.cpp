// The log-linear mixture: its fit, what it learnt as arrays, and its predictor.
#include <array>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#include "arrays.hpp"
#include "infgram/models/mix/fit.hpp"
#include "infgram/models/predictor.hpp"

using namespace infgram;
using namespace infgram::bindings;

namespace {

// What this mixture can ask for: one shard, tokens of 8 bits.
const std::shared_ptr<const OpenIndex<std::uint8_t>>& narrow(const AnyIndex& index) {
    return index.visit([]<class Code>(const Owner<Code>& of) -> const Owner<std::uint8_t>& {
        if constexpr (std::is_same_v<Code, std::uint8_t>)
            if (of->index.shards().size() == 1) return of;
        throw InvalidParameter("a mixture needs an index of one shard with codes of 8 bits");
    });
}

template <mix::Kind kind>
std::shared_ptr<MixModel<kind>> make_model(
    const AnyIndex& index, const std::shared_ptr<KneserNeyModel>& kneser_ney,
    std::span<const std::uint64_t> words, std::span<const std::uint8_t> classes,
    const Array<std::uint32_t>& offsets, const Array<std::uint8_t>& contexts,
    std::span<const std::uint8_t> coarse, std::span<const float> values) {
    const auto& of = narrow(index);
    mix::Asking asking(of->index.alphabet(), of->index.shards());
    mix::Parameters<kind> parameters(asking.questions.size());
    for (std::vector<float>* array : parameters.arrays()) {
        if (values.size() < array->size()) throw_corrupt("parameters of the mixture");
        array->assign(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(array->size()));
        values = values.subspan(array->size());
    }
    if (!values.empty()) throw_corrupt("parameters of the mixture");
    return std::make_shared<MixModel<kind>>(
        kneser_ney, std::move(asking), mix::WordClasses(words, classes, coarse, kind.is_full),
        mix::NamedCounts(view(offsets), view(contexts), kept(py::make_tuple(offsets, contexts)),
                         of->index.alphabet().n_codes()),
        std::move(parameters));
}

// Calls back for each block, and sees whether the user has had enough.
class Progress {
public:
    explicit Progress(py::object report) : report_(std::move(report)) {}
    void operator()(std::size_t done, std::size_t total) const {
        const py::gil_scoped_acquire acquire;
        if (PyErr_CheckSignals() != 0) throw py::error_already_set();
        if (!report_.is_none()) report_(done, total);
    }

private:
    py::object report_;
};

template <mix::Kind kind>
std::unique_ptr<AnyPredictor> predictor(const AnyCursor& cursor,
                                        const std::shared_ptr<MixModel<kind>>& model,
                                        std::uint32_t live_tokens) {
    if (kind.adapts != (live_tokens != 0))
        throw InvalidParameter("a mixture adapts if it was fitted so, and not else");
    return cursor.visit([&]<class Code>(const Cursor<Code>& of) -> std::unique_ptr<AnyPredictor> {
        if constexpr (std::is_same_v<Code, std::uint8_t>)
            if (of.owner()->index.alphabet().n_codes() == model->asking.symbols.size())
                return std::make_unique<PredictorOf<Code, Mix<Code, kind>>>(
                    of, std::shared_ptr<const MixModel<kind>>(model), live_tokens);
        throw InvalidParameter("a mixture predicts for the index that it was fitted to");
    });
}

// name: of the kind of models. fit: of the function that makes one.
template <mix::Kind kind>
void bind_kind(py::module_& m, const char* name, const char* fit) {
    using Model = MixModel<kind>;
    py::class_<Model, std::shared_ptr<Model>>(m, name)
        .def(py::init(&make_model<kind>), py::kw_only(), py::arg("index"), py::arg("kneser_ney"),
             py::arg("words"), py::arg("classes"), py::arg("offsets").noconvert(),
             py::arg("contexts").noconvert(), py::arg("coarse"), py::arg("values"))
        // (words, classes, offsets, contexts, coarse, values of all arrays one
        // after another)
        .def("arrays",
             [](Model& self) {
                 const auto copy = [](auto of) { return std::vector(of.begin(), of.end()); };
                 std::vector<float> values;
                 for (const std::vector<float>* array : self.parameters.arrays())
                     values.insert(values.end(), array->begin(), array->end());
                 return std::tuple(copy(self.classes.words()), copy(self.classes.classes()),
                                   copy(self.counts.offsets()), copy(self.counts.bytes()),
                                   copy(self.classes.coarse()), std::move(values));
             })
        // How many values each array has.
        .def("sizes",
             [](Model& self) {
                 std::vector<std::int64_t> sizes;
                 for (const std::vector<float>* array : self.parameters.arrays())
                     sizes.push_back(static_cast<std::int64_t>(array->size()));
                 return sizes;
             })
        // Of each question: first code, first code of yes, end, next question or ~code of no, of
        // yes.
        .def("questions", [](const Model& self) {
            std::vector<std::int64_t> flat;
            for (std::uint32_t i = 0; i < self.asking.questions.size(); ++i) {
                const auto& question = self.asking.questions[static_cast<std::int32_t>(i)];
                flat.insert(flat.end(), {question.begin, question.middle, question.end, question.no,
                                         question.yes});
            }
            return flat;
        });
    // (model, tokens learnt, nats per token, each before it was learnt)
    m.def(
        fit,
        [](const AnyIndex& index, const std::shared_ptr<KneserNeyModel>& kneser_ney,
           std::uint32_t block_tokens, std::uint32_t guard, std::uint32_t n_sweeps,
           std::uint32_t most_tokens, std::uint32_t piece_tokens, std::uint32_t most_learnt,
           py::object progress) {
            const Progress report(std::move(progress));
            MixFit<kind> found;
            {
                const py::gil_scoped_release release;
                found = fit_mix<kind>(
                    narrow(index), kneser_ney,
                    {block_tokens, guard, n_sweeps, most_tokens, piece_tokens, most_learnt},
                    [&](std::size_t done, std::size_t total) { report(done, total); });
            }
            return std::tuple(std::move(found.model), found.n_tokens, found.nats);
        },
        py::arg("index"), py::kw_only(), py::arg("kneser_ney"), py::arg("block_tokens"),
        py::arg("guard"), py::arg("n_sweeps"), py::arg("most_tokens"), py::arg("piece_tokens"),
        py::arg("most_learnt"), py::arg("progress"));
    m.def("mix", &predictor<kind>, py::arg("cursor"), py::kw_only(), py::arg("model"),
          py::arg("live_tokens"), Released());
}

}  // namespace

void bind_mix(py::module_& m) {
    bind_kind<mix::Kind{.adapts = false, .is_full = false}>(m, "MixModel", "fit_mix");
    bind_kind<mix::Kind{.adapts = true, .is_full = false}>(m, "AdaptingMixModel",
                                                           "fit_adapting_mix");
    bind_kind<mix::Kind{.adapts = false, .is_full = true}>(m, "FullMixModel", "fit_full_mix");
    bind_kind<mix::Kind{.adapts = true, .is_full = true}>(m, "FullAdaptingMixModel",
                                                          "fit_full_adapting_mix");
}
