"""The API reference, in one table: what is public, once each, by the room it lives in.

`docs/tools/reference.py` makes the pages of it, and `tests/test_docs_api.py` compares it with the package: a public
name that is missing here, that stands here twice, or that the package does not have, fails.

One entry a page: file name, title, one sentence; then groups, each with a title (or none, to go on with the group
above), the module that the names are taken from, and the names. What is at the top, `skinseg.<name>`, is listed there.
"""

SECTIONS = [
    (
        "records",
        "Images, records and masks",
        "Image files and arrays go in, checked all at once, and travel as records that carry their mask.",
        [
            ("Records", "skinseg", "LesionImage Geometry check_images check_masks"),
            ("", "skinseg.images", "is_label_sequence mean_jaccard FRAME_COLUMNS"),
            ("Files", "skinseg", "read_image read_mask"),
            (
                "",
                "skinseg.reading",
                "Header pixel_limit read_header read_reduced IMAGE_SUFFIXES MAX_PIXELS MAX_PIXELS_VARIABLE",
            ),
            (
                "Masks",
                "skinseg.masks",
                "as_mask clean_mask expected_jaccard jaccard_cut largest_component overlap_counts OverlapCounts "
                "resize_mask ScaledMap",
            ),
            ("Resizing", "skinseg.resampling", "resize_image shrink_to"),
        ],
    ),
    (
        "preprocessing",
        "Preparing images",
        "Steps from image to image: size, frame, hair, color, light.",
        [
            (
                "Steps",
                "skinseg",
                "ImageResizer FrameCropper HairRemover ColorConstancy IlluminationCorrector ContrastEqualizer",
            ),
            (
                "Functions on one image",
                "skinseg.preprocessing",
                "correct_color correct_illumination crop_box equalize_contrast estimate_illuminant find_hair "
                "remove_hair",
            ),
            ("Field of view and light", "skinseg.field", "fit_surface flatten_shading valid_field"),
            ("Stickers and ink", "skinseg.artifacts", "find_foreign"),
        ],
    ),
    (
        "segmentation",
        "Segmentation",
        "Image in, outline of the lesion out.",
        [
            ("The one that comes trained", "skinseg", "PretrainedSegmenter"),
            (
                "Without training",
                "skinseg",
                "ThresholdSegmenter KMeansSegmenter SaliencySegmenter ChanVeseSegmenter GrabCutSegmenter "
                "EnsembleSegmenter",
            ),
            (
                "Trained on masks",
                "skinseg",
                "SuperpixelSegmenter UNetSegmenter BCDUNetSegmenter EfficientUNetSegmenter",
            ),
            ("The expert's outline", "skinseg", "ReferenceSegmenter"),
            (
                "Functions on one image",
                "skinseg.segmentation",
                "segment_threshold segment_kmeans segment_chan_vese segment_grabcut lesion_saliency",
            ),
        ],
    ),
    (
        "features",
        "Features",
        "Outlined lesions in, a table of measures with names, units and sources out.",
        [
            ("Featurizers", "skinseg", "ABCDFeaturizer CNNFeaturizer"),
            ("Catalog of the features", "skinseg.features", "Feature FEATURES"),
            (
                "Asymmetry",
                "skinseg.features.asymmetry",
                "measure_asymmetry explain_asymmetry best_axes principal_axes BLOCKS",
            ),
            ("Border", "skinseg.features.border", "measure_border explain_border"),
            (
                "Color",
                "skinseg.features.color",
                "measure_color explain_color adapt_to_skin clinical_colors surrounding_skin COLOR_NAMES BLOCKS",
            ),
            ("Dimension", "skinseg.features.dimension", "measure_dimension explain_dimension"),
            ("Scale of the image", "skinseg", "estimate_pixel_size"),
            ("", "skinseg.features", "PixelSize"),
            (
                "Structure",
                "skinseg.features.structure",
                "measure_structure explain_structure structure_energy structure_map LABELS MIN_DIAMETER",
            ),
            (
                "Texture",
                "skinseg.features.texture",
                "co_occurrence local_patterns lesion_frame half_frame reference_lightness DIAMETER",
            ),
            ("Tone of the skin", "skinseg.skin", "individual_typology_angle skin_tone SKIN_TONES"),
        ],
    ),
    (
        "classification",
        "Classification",
        "Benign or melanoma: the rule, networks, and the model that comes trained.",
        [
            ("Classifiers", "skinseg", "ABCDRuleClassifier CNNClassifier"),
            ("The model that comes trained", "skinseg", "load_pretrained PretrainedClassifier"),
            ("", "skinseg.pretrained", "make_measures network_log_odds"),
            ("The ABCD rule as functions", "skinseg.rule", "total_dermoscopy_score verdict_of"),
            (
                "Age, sex and site",
                "skinseg.clinical",
                "clinical_table make_clinical_transformer make_scaler normalized_clinical plain_categories wrong_ages "
                "image_columns image_and_reference_columns numeric_columns other_columns CLINICAL_COLUMNS",
            ),
        ],
    ),
    (
        "pipeline",
        "Pipelines and model files",
        "From files to a probability as one pipeline, a batch at a time; saved and loaded.",
        [
            ("Pipelines", "skinseg", "make_lesion_pipeline BatchedPipeline"),
            ("", "skinseg.pipeline", "outlining_part"),
            ("Model files", "skinseg", "save load"),
        ],
    ),
    (
        "metrics",
        "Metrics",
        "Scores of masks against the expert's, and scores of classifiers that scikit-learn lacks.",
        [
            (
                "Overlap of masks",
                "skinseg.metrics",
                "jaccard_score thresholded_jaccard_score dice_score sensitivity_score specificity_score "
                "accuracy_score mask_scores",
            ),
            (
                "Distance of outlines",
                "skinseg.metrics",
                "hausdorff_distance average_symmetric_surface_distance boundary_f1_score surface_distances "
                "SurfaceDistances",
            ),
            (
                "Classifiers",
                "skinseg.metrics",
                "partial_auc_score sensitivity_at_specificity specificity_at_sensitivity expected_calibration_error",
            ),
            ("Scorers", "skinseg.metrics", "get_mask_scorer get_classification_scorer MaskScorer"),
        ],
    ),
    (
        "evaluation",
        "Evaluation",
        "Experiments, intervals, comparisons, and checks that training and test have nothing in common.",
        [
            (
                "Experiments",
                "skinseg.evaluation",
                "run_experiment load_experiment rerun_experiment compare_experiments Experiment Comparison RerunCheck",
            ),
            (
                "Intervals and thresholds",
                "skinseg.evaluation",
                "bootstrap_interval paired_bootstrap threshold_at_sensitivity Interval Difference",
            ),
            (
                "Splits, duplicates and leaks",
                "skinseg.evaluation",
                "split_by_group check_splits check_leakage find_duplicates group_duplicates load_duplicate_list "
                "SplitReport LeakageReport",
            ),
            (
                "Files of the ISIC challenges",
                "skinseg.evaluation",
                "read_isic_masks write_isic_masks read_isic_classification write_isic_classification ISIC_COLUMNS",
            ),
            (
                "Fingerprints of images",
                "skinseg.hashing",
                "fingerprint Fingerprint compare Likeness search_hashes Candidates dct_hash hash_symmetry "
                "apply_symmetry local_detail HASH_BITS SYMMETRIES",
            ),
        ],
    ),
    (
        "inspection",
        "Inspection",
        "Displays, contact sheets and the report, and explanations of what a classifier says of an image.",
        [
            ("Displays", "skinseg.inspection", "LesionDisplay ABCDDisplay SegmentationErrorDisplay panel_axes PANELS"),
            ("Pictures of many images", "skinseg.inspection", "contact_sheet draw_outline"),
            ("Report", "skinseg.inspection", "write_report ReportSummary load_population Population"),
            ("Explanations", "skinseg.inspection", "explain_prediction Contributions groups_of"),
        ],
    ),
    (
        "corrections",
        "Correcting outlines",
        "The outlines least to be trusted go to an annotation tool, and come back as expert masks.",
        [
            ("Doubtful outlines", "skinseg.doubtful", "write_doubtful DoubtfulFolder DoubtfulSummary"),
            ("", "skinseg.datasets", "load_corrections"),
            (
                "Forms of annotation tools",
                "skinseg.annotations",
                "read_labelme write_labelme labelme_content mask_of_labelme read_coco write_coco coco_content "
                "CocoMasks read_painted_mask mask_to_polygons polygons_to_mask Polygon mask_to_counts counts_to_mask "
                "counts_of_text outline_hash",
            ),
        ],
    ),
    (
        "datasets",
        "Data sets",
        "Lesions made to order, published data sets in the layouts as they are downloaded, and tables of files.",
        [
            ("Made to order", "skinseg.datasets", "make_lesions lesion_stream"),
            ("Your own table", "skinseg.datasets", "load_lesion_table"),
            (
                "From a folder",
                "skinseg.datasets",
                "load_isic2016 load_isic2017 load_isic2018 load_isic2019 load_isic2020 load_isic_archive "
                "load_ham10000 load_ph2 load_ima205",
            ),
            (
                "Downloads",
                "skinseg.datasets",
                "fetch_isic2016 fetch_isic2017 fetch_isic2018 fetch_isic2019 fetch_isic2020 fetch_isic_archive "
                "fetch_ham10000 fetch_by_name",
            ),
            (
                "What there is, and where",
                "skinseg.datasets",
                "list_datasets describe_dataset verify_dataset get_data_home clear_data_home Dataset CATALOG",
            ),
            (
                "Pieces of a drawn scene",
                "skinseg.synthesis",
                "draw_skin draw_lesion draw_hair draw_ruler draw_ink draw_bubbles draw_sticker draw_vignette "
                "lesion_radius smooth_noise to_image LESION_COLORS STRUCTURES",
            ),
        ],
    ),
    (
        "files",
        "Many files, and what the command does",
        "Files in, files out, with bad files listed and nothing else lost: the functions behind the command.",
        [
            (
                "Outlines",
                "skinseg.outlining",
                "segment_files segment_to_folder find_images find_masks split_readable describe_estimator quietly "
                "write_table NO_LESION",
            ),
            (
                "Tables and predictions",
                "skinseg.bulk",
                "measure_files measure_to_file predict_files predict_to_file predict_records positive_class rows_for",
            ),
            ("", "skinseg.runs", "RunSummary"),
            ("Training from a table", "skinseg.training", "train_from_table make_classifier make_sampler"),
            ("Demo", "skinseg.demo", "run_demo"),
        ],
    ),
    (
        "networks",
        "Networks",
        "Graphs, losses, augmentation, and the networks that come in the package.",
        [
            (
                "Graphs",
                "skinseg.networks",
                "unet bcdu_net efficientnet_lite_unet efficientnet_lite_classifier imagenet_weights",
            ),
            (
                "Training",
                "skinseg.networks",
                "NetworkEstimator jaccard make_loss make_class_loss augment letterbox clear_pool",
            ),
            (
                "Networks in the package",
                "skinseg.networks",
                "packaged_networks packaged_network run_packaged embed_packaged PackagedNetwork",
            ),
        ],
    ),
    (
        "extending",
        "Bases, checks and errors",
        "What a segmenter, a featurizer or a step of your own derives from, what checks it, and what can go wrong.",
        [
            (
                "Bases",
                "skinseg.base",
                "SkinsegEstimator ImageEstimator ImageTransformer BaseSegmenter BaseFeaturizer nested_estimators "
                "object_array EXECUTION_PARAMETERS",
            ),
            ("Checks", "skinseg.testing", "check_image_estimator image_checks all_estimators make_instances"),
            ("State of the process", "skinseg.testing", "process_untouched process_state"),
            (
                "Strategies for hypothesis",
                "skinseg.testing",
                "images masks images_and_masks lesion_images image_batches ImageBatch array_layouts arrays_of_any_kind "
                "image_files ImageFile tables IMAGE_KINDS MASK_KINDS FILE_KINDS",
            ),
            (
                "Errors",
                "skinseg.exceptions",
                "AnnotationError CheckpointError ImageBatchError ImageReadError InvalidImagesError LeakageError "
                "MissingFilesError ModelFileError RunError RunInterrupted TrainingDivergedError",
            ),
            (
                "Warnings",
                "skinseg.exceptions",
                "SkinsegWarning EmptyMaskWarning MissingFilesWarning UngroupedWarning UnknownColumnsWarning "
                "VersionMismatchWarning",
            ),
        ],
    ),
]
