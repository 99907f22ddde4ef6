// Predictor and Sampler: estimators over a context that moves. The live text, and the fit of
// discounts.
#include <array>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "arrays.hpp"
#include "infgram/models/calibration.hpp"
#include "infgram/models/followers.hpp"
#include "infgram/models/kneser_ney.hpp"
#include "infgram/models/predictor.hpp"
#include "infgram/models/sbis.hpp"
#include "random.hpp"

using namespace infgram;
using namespace infgram::bindings;

namespace {

// How `infgram.cursor` makes predictors of each estimator: an estimator more is a line more.
std::unique_ptr<AnyPredictor> sbis(const AnyCursor& cursor, int k, double decay, bool normalise,
                                   double floor, std::uint64_t n_vocabulary,
                                   std::uint32_t live_tokens) {
    return make_predictor<Sbis>(cursor, SbisParameters{k, decay, normalise, floor, n_vocabulary},
                                live_tokens);
}
std::unique_ptr<AnyPredictor> kneser_ney(const AnyCursor& cursor,
                                         const std::shared_ptr<KneserNeyModel>& model,
                                         std::uint32_t live_tokens) {
    return make_predictor<KneserNey>(cursor, std::shared_ptr<const KneserNeyModel>(model),
                                     live_tokens);
}

// Shape (n_tokens, n_columns).
py::array_t<double> distributions(AnyPredictor& predictor, const Tokens& tokens) {
    const std::size_t n = std::visit([](auto given) { return given.size(); }, tokens);
    const std::size_t n_columns = predictor.n_columns();
    py::array_t<double> matrix({n, n_columns});
    const std::span<double> rows(matrix.mutable_data(), n * n_columns);
    const py::gil_scoped_release release;
    predictor.distributions(tokens, rows);
    return matrix;
}

void bind_predictor(py::module_& m) {
    py::class_<AnySampler>(m, "Sampler")
        .def(  // of each text (token ids, why it ended)
            "sample",
            [](AnySampler& self, std::size_t n) {
                std::vector<std::pair<std::vector<std::uint32_t>, const char*>> texts;
                for (Drawn& drawn : self.sample(n))
                    texts.emplace_back(std::move(drawn.token_ids), drawn.ended);
                return texts;
            },
            py::arg("n"), Released());
    py::class_<AnyPredictor>(m, "Predictor")
        .def("read", &AnyPredictor::read, py::arg("tokens"), Released())
        .def(
            "score",
            [](AnyPredictor& self, const Tokens& tokens) {
                TokenScores scores = self.score(tokens);
                return std::tuple(std::move(scores.log_prob), std::move(scores.n),
                                  std::move(scores.m));
            },
            py::arg("tokens"), Released())
        .def("distributions", &distributions, py::arg("tokens"))
        .def("distribution", &AnyPredictor::distribution, Released())
        .def(
            "sampler",
            [](const AnyPredictor& self, double temperature, std::uint32_t top_k, double top_p,
               double min_p, std::uint32_t max_copy, const std::vector<Uniform>& bit_generators) {
                return self.sampler({temperature, top_k, top_p, min_p, max_copy}, bit_generators);
            },
            py::kw_only(), py::arg("temperature"), py::arg("top_k"), py::arg("top_p"),
            py::arg("min_p"), py::arg("max_copy"), py::arg("bit_generators"), Released(),
            py::keep_alive<0, 7>());
    m.def("sbis", &sbis, py::arg("cursor"), py::kw_only(), py::arg("k"), py::arg("decay"),
          py::arg("normalise"), py::arg("floor"), py::arg("n_vocabulary"), py::arg("live_tokens"),
          Released());
    m.def("kneser_ney", &kneser_ney, py::arg("cursor"), py::kw_only(), py::arg("model"),
          py::arg("live_tokens"), Released());
    // (offsets, token ids, probabilities, unseen after each context, and after its suffix)
    m.def(
        "list_followers",
        [](const AnyIndex& index, const std::shared_ptr<KneserNeyModel>& model,
           std::span<const std::uint32_t> contexts, std::uint32_t n, std::uint32_t window) {
            Followers found = list_followers(index, model, contexts, n, window);
            return std::tuple(std::move(found.offsets), std::move(found.token_ids),
                              std::move(found.probs), std::move(found.unseen),
                              std::move(found.shorter));
        },
        py::arg("index"), py::kw_only(), py::arg("model"), py::arg("contexts"), py::arg("n"),
        py::arg("window"), Released());
}

// (n, m, codes, counts, contexts, passed), longest first; none before anything was counted.
py::list live_levels(const LiveText& text) {
    py::list levels;
    for (std::size_t i = text.levels().size(); i-- > 0 && !text.empty();) {
        const LiveLevel& level = text.levels()[i];
        std::vector<Continuation> tokens;
        std::vector<std::uint32_t> counts;
        text.for_each_token(level, [&](const Continuation& token, std::uint32_t raw) {
            tokens.push_back(token);
            counts.push_back(raw);
        });
        std::vector<std::uint32_t> codes;
        std::vector<std::uint32_t> contexts;
        std::vector<double> passed;
        for (const Continuation& token : tokens) {
            codes.push_back(token.code);
            contexts.push_back(token.contexts);
            passed.push_back(token.count);
        }
        levels.append(py::make_tuple(level.n, text.m(level), codes, counts, contexts, passed));
    }
    return levels;
}

void bind_live(py::module_& m) {
    py::class_<LiveText>(m, "LiveText")
        .def(py::init([](double exponent, std::uint32_t max_tokens, std::uint32_t window) {
                 return std::make_unique<LiveText>(FixedPower(exponent), max_tokens,
                                                   std::min(window, LiveText::model_window));
             }),
             py::kw_only(), py::arg("exponent"), py::arg("max_tokens"), py::arg("window"))
        .def(
            "read",
            [](LiveText& self, std::span<const std::uint32_t> codes) {
                for (const std::uint32_t code : codes)
                    code == Alphabet::unknown ? self.separate() : self.read(code);
            },
            py::arg("codes"))
        .def("read_levels", &live_levels);
}

void bind_discounts(py::module_& m) {
    m.attr("max_context") = max_context;
    m.attr("n_discounts") = 3 * n_discount_rows;
    m.def("textbook_discounts", [] { return same_discounts(textbook_log_odds); });
    py::class_<KneserNeyModel, std::shared_ptr<KneserNeyModel>>(m, "KneserNeyModel")
        .def(py::init([](double exponent, std::span<const double> corpus,
                         std::optional<std::span<const double>> live, std::uint64_t n_vocabulary,
                         std::uint64_t n_rows, std::size_t cache_bytes,
                         const std::optional<std::shared_ptr<WideTables>>& wide) {
                 return std::make_shared<KneserNeyModel>(
                     FixedPower(exponent), Discounts(corpus),
                     live ? std::optional(Discounts(*live)) : std::nullopt, n_vocabulary, n_rows,
                     cache_bytes, wide.value_or(nullptr));
             }),
             py::kw_only(), py::arg("exponent"), py::arg("corpus"), py::arg("live"),
             py::arg("n_vocabulary"), py::arg("n_rows"), py::arg("cache_bytes"), py::arg("wide"))
        .def(
            "discount",
            [](const KneserNeyModel& self, bool live, std::uint32_t n, std::uint32_t n_shorter,
               std::uint32_t n_types, std::uint32_t n_types_shorter, std::uint64_t m,
               std::uint32_t n_corpus, std::uint32_t n_live, bool single) {
                const LevelShape shape{n, n_shorter, n_types, n_types_shorter,
                                       m, n_corpus,  n_live,  single};
                if (live && !self.live)
                    throw InvalidParameter("these discounts were fitted without a live text");
                return (live ? *self.live : self.corpus)(shape);
            },
            py::kw_only(), py::arg("live"), py::arg("n"), py::arg("n_shorter"), py::arg("n_types"),
            py::arg("n_types_shorter"), py::arg("m"), py::arg("n_corpus"), py::arg("n_live"),
            py::arg("single"));
    // (tables, nats, tables with a live text, nats with it, n_tokens)
    m.def(
        "fit_discounts",
        [](const AnyIndex& index, double exponent, std::span<const std::uint32_t> blocks,
           std::uint32_t guard, std::uint32_t every, int n_steps, double pull, unsigned n_threads,
           const std::shared_ptr<WideTables>& wide) {
            Fits fits =
                fit_index(index, blocks, {exponent, guard, every, n_steps, pull, n_threads, wide});
            return std::tuple(std::move(fits.corpus.tables), fits.corpus.nats,
                              std::move(fits.adapting.tables), fits.adapting.nats, fits.n_tokens);
        },
        py::arg("index"), py::kw_only(), py::arg("exponent"), py::arg("blocks"), py::arg("guard"),
        py::arg("every"), py::arg("n_steps"), py::arg("pull"), py::arg("n_threads"),
        py::arg("wide"), Released());
}

void bind_wide(py::module_& m) {
    py::class_<WideTables, std::shared_ptr<WideTables>>(m, "WideTables")
        .def(py::init([](const Array<std::uint64_t>& shards, const Array<std::uint32_t>& ranges,
                         const Array<std::uint8_t>& depths, const Array<std::uint64_t>& offsets,
                         const Array<std::uint8_t>& tokens) {
                 return std::make_shared<WideTables>(
                     WideColumns{view(shards), view(ranges), view(depths), view(offsets),
                                 view(tokens)},
                     kept(py::make_tuple(shards, ranges, depths, offsets, tokens)));
             }),
             py::kw_only(), py::arg("shards").noconvert(), py::arg("ranges").noconvert(),
             py::arg("depths").noconvert(), py::arg("offsets").noconvert(),
             py::arg("tokens").noconvert())
        // (shards, ranges, depths, offsets, tokens)
        .def("arrays", [](const WideTables& self) {
            const auto copy = [](auto of) { return std::vector(of.begin(), of.end()); };
            const WideColumns& columns = self.columns();
            return std::tuple(copy(columns.shards), copy(columns.ranges), copy(columns.depths),
                              copy(columns.offsets), copy(columns.tokens));
        });
    m.def(
        "count_wide",
        [](const AnyIndex& index, double exponent, std::uint32_t least_rows) {
            const auto counter = std::make_shared<WideCounter>(FixedPower(exponent), least_rows);
            index.visit([&](const auto& of) {
                for (const auto& shard : of->index.apart()) counter->add(shard);
            });
            return std::make_shared<WideTables>(counter->columns(), counter);
        },
        py::arg("index"), py::kw_only(), py::arg("exponent"), py::arg("least_rows"), Released());
}

}  // namespace

void bind_model(py::module_& m) {
    bind_wide(m);  // first: models take what it makes
    bind_discounts(m);
    bind_live(m);
    bind_predictor(m);
}
